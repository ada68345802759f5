"""Folders of [outputs] that two runs in the project's own folder would write at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from .. import jobs
from ..context import Context
from ..errors import LabError
from ..jobs.job import Job
from ..machine import Machine
from ..scripts import run_script

__all__ = ["refuse_mixing", "shared_folders"]

_HINT = "To give the new run its own copy of the code and folders: add --detach"


def refuse_mixing(context: Context, known: Sequence[Job]) -> None:
    """Ask before a run starts whose results another one would take for its own.

    `known` are the runs of its machine. Raises LabError when nothing is to be started.
    """
    folders = context.project.settings.output_folders
    for job, folder in _clashes(known, folders):
        what = (
            f"{job.id} ({job.title}) is still running, and its files in {folder}/ would be "
            "counted as results of this run too."
        )
        if not context.console.has_terminal():
            raise LabError(f"{what} Nothing was started.", hint=_HINT)
        if not context.console.confirm(f"{what} Start it?", yes=False, default=False):
            raise LabError("Nothing was started.", hint=_HINT)


def shared_folders(
    context: Context, machine: Machine, *, far: str, at_once: int, sweep: str = ""
) -> tuple[str, ...]:
    """Return the folders that the sets of a sweep write to in the project's own folder.

    There are none where each set has a checkout. Raises LabError where results would be mixed: by
    several sets at once (0 is as many as Slurm allows), or with other runs than those of `sweep`.
    """
    folders = context.project.settings.output_folders
    if not folders or run_script(machine, "code-kind", far).stdout.strip() != "folder":
        return ()
    if at_once != 1:
        raise LabError(
            f"The project's folder on {machine.alias} is not a git repository, so runs have no "
            f"folders of their own. Several sets at once would mix their files in {folders[0]}/. "
            "Nothing was started.",
            hint="To run one set after another: --at-once 1",
        )
    known = jobs.list_jobs(machine, console=context.console, kind="run")
    refuse_mixing(context, [job for job in known if not sweep or job.run.sweep != sweep])
    return tuple(folders)


def _clashes(known: Sequence[Job], folders: Sequence[str]) -> Iterator[tuple[Job, str]]:
    """Yield each run in progress in the project's folder that writes into one of the folders."""
    for job in known:
        pairs = [(one, other) for one in job.about.folders for other in folders]
        shared = [other for one, other in pairs if _overlap(one, other)]
        if shared and not job.is_over:
            yield job, shared[0]


def _overlap(one: str, other: str) -> bool:
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first.is_relative_to(second) or second.is_relative_to(first)
