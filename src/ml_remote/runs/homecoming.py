"""Bringing home what a run has saved."""

from __future__ import annotations

import shlex

from ..context import Context
from ..errors import LabError
from ..jobs.job import Job
from ..machine import Machine
from ..transfer.bringing import bring_outputs
from .resuming import CHECKPOINT, resume_command

__all__ = ["bring_home"]


def bring_home(context: Context, machine: Machine, job: Job) -> str:
    """Fetch what a run has saved, show it, and return the sentence that says how to look at it."""
    console, project = context.console, context.project
    stem = job.run.output_folder
    try:
        bring_outputs(context, machine, only=f"{stem}/{job.id}")
    except LabError as error:
        if job.state == "done":
            raise
        console.warn(str(error))
        return "lab pull"
    results = project.outputs / stem / job.id
    if not results.is_dir():
        return "lab runs"
    console.say("Results:")
    for path in sorted(results.iterdir()):
        console.say(f"  {path}")
    if job.state != "done" and (results / CHECKPOINT).exists():
        alias = None if machine.alias == project.alias() else machine.alias
        console.note(f"To go on from its last checkpoint: {resume_command(job, alias=alias)}")
    page = results / f"{stem}.html"
    what, path = ("open", page) if page.exists() else ("look at", results)
    return f"{what} {shlex.quote(str(path))}"
