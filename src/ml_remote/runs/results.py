"""Fetch the results of a run, and show them."""

from __future__ import annotations

import shlex

from ..context import Context
from ..errors import LabError
from ..jobs.job import Job
from ..machine import Machine
from ..transfer.fetch_report import fetch_and_report
from .resuming import CHECKPOINT, resume_command
from .summary import show_results

__all__ = ["fetch_results"]


def fetch_results(context: Context, machine: Machine, job: Job) -> str:
    """Fetch what a run has saved, show it, and return the sentence that says how to look at it."""
    console, project = context.console, context.project
    stem = job.run.output_folder
    try:
        fetch_and_report(context, machine, only=f"{stem}/{job.id}")
    except LabError as error:
        if job.state == "done":
            raise
        console.warn(str(error))
        return "lab pull"
    results = project.outputs / stem / job.id
    if not results.is_dir():
        return "lab runs"
    show_results(console, results)
    if job.state != "done" and (results / CHECKPOINT).exists():
        alias = None if machine.alias == project.alias() else machine.alias
        console.note(f"To continue from its last checkpoint: {resume_command(job, alias=alias)}")
    page = results / f"{stem}.html"
    what, path = ("open", page) if page.exists() else ("look at", results)
    return f"{what} {shlex.quote(str(path))}"
