"""`lab runs --remove`: clearing old runs, their results here and on the machine included."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..context import Context
from ..errors import LabError
from ..files import exclusive
from ..jobs.job import Job
from ..machine import Machine
from ..next_steps import what_next
from ..scripts import ExitCode, Explanations, ask
from ..transfer.fetching import manifest_of
from ..transfer.outputs import INCOMING
from ..transfer.results import BlockedError, Results
from ..ui.text import in_one_line
from .listing import choose_run
from .places import Found, find_jobs

__all__ = ["remove_runs"]

_PART = re.compile(r"(?!\.\.?$)[^/\0]{1,255}")
_TIMEOUT = 600.0  # seconds
_OWN_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class _Removal:
    """One run that is to go."""

    machine: Machine
    job: Job

    @property
    def folder(self) -> str:
        """Where its results are, below `outputs/`."""
        return f"{self.job.run.output_folder}/{self.job.id}"


def remove_runs(
    context: Context, texts: Sequence[str], *, alias: str | None = None, yes: bool = False
) -> None:
    """Remove runs here and on their machine, after showing what goes and asking.

    Raises LabError when one of them still runs, or cannot be meant; nothing is removed then.
    """
    console, outputs = context.console, context.project.outputs
    found = find_jobs(context, alias, "run")
    name, otherwise = context.project.alias(alias), what_next(context)
    known = [one.job for one in found]
    removals = [_removal(found, choose_run(known, text, alias=name, otherwise=otherwise))
                for text in texts]  # fmt: skip
    results = Results(outputs)
    results.check()
    for removal in removals:
        console.say(f"{removal.job.id}  {removal.job.title}")
        console.say(f"  on {removal.machine.alias}: {_there(removal)}")
        console.say(f"  here: {_here(outputs, removal.folder)}")
    if not console.confirm("Remove these for good?", yes=yes, default=False):
        console.say("Nothing was removed.")
        return
    for removal in removals:
        _remove_here(results, removal.folder)
        ask(
            removal.machine, "remove-run", *removal.folder.split("/"), "", timeout=_TIMEOUT,
            explanations=_explanations(removal.job),
        )  # fmt: skip
        console.say(f"Removed {removal.job.id}, here and on {removal.machine.alias}.")
    console.next_step("lab runs")


def _removal(found: Sequence[Found], job: Job) -> _Removal:
    """Return what is to be removed. Raises LabError unless it is a folder of its own."""
    machine = next(one.machine for one in found if one.job is job)
    removal = _Removal(machine=machine, job=job)
    parts = removal.folder.split("/")
    if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts):
        raise LabError(f"{job.id} has no folder of its own in outputs/.")
    if not job.is_over:
        raise _still_running(job)
    return removal


def _still_running(job: Job) -> LabError:
    return LabError(
        f"{job.id} is still running. Nothing was removed.", hint=f"End it first: lab stop {job.id}"
    )


def _explanations(job: Job) -> Explanations:
    return {ExitCode.STILL_RUNNING: lambda _: _still_running(job)}


def _there(removal: _Removal) -> str:
    """Return in words what a run has left on its machine."""
    done = ask(
        removal.machine, "remove-run", *removal.folder.split("/"), "show", timeout=_TIMEOUT,
        explanations=_explanations(removal.job),
    )  # fmt: skip
    numbers = [line.strip() for line in done.stdout.splitlines()]
    if len(numbers) != 2 or not all(re.fullmatch("[0-9]{1,15}", one) for one in numbers):
        return "no results, only its log"
    return f"outputs/{removal.folder} ({_files(int(numbers[0]))}, {int(numbers[1]) / 1000:.1f} MB)"


def _here(outputs: Path, folder: str) -> str:
    """Return in words what of a run is here, what the person made or changed included."""
    files = [path for path in (outputs / folder).rglob("*") if not path.is_dir()]
    if not files:
        return "nothing"
    size = sum(path.lstat().st_size for path in files)
    manifest = manifest_of(outputs)
    own = []
    for path in files:
        name = path.relative_to(outputs).as_posix()
        if not any(record.agrees(path.lstat()) for record in manifest.records(name)):
            own.append(in_one_line(path.name))
    more = ", ..." if len(own) > _OWN_SHOWN else ""
    changed = f"; not from the machine: {', '.join(own[:_OWN_SHOWN])}{more}" if own else ""
    return f"outputs/{folder} ({_files(len(files))}, {size / 1e6:.1f} MB{changed})"


def _remove_here(results: Results, folder: str) -> None:
    """Remove a folder of results here, never through a link. Raises LabError."""
    if not results.path.is_dir():
        return
    with exclusive(results.path / INCOMING):
        try:
            with results.at(folder) as (leaf, above):
                if _is_link(leaf, above):
                    os.unlink(leaf, dir_fd=above)
                else:
                    shutil.rmtree(leaf, dir_fd=above)
        except FileNotFoundError:
            pass
        except (BlockedError, OSError) as error:
            raise LabError(
                f"outputs/{folder} could not be removed here: {error}",
                hint="Remove it yourself, then run the command again",
            ) from None
        manifest = manifest_of(results.path)
        manifest.forget(lambda name: name.startswith(f"{folder}/"))
        manifest.write()


def _is_link(leaf: str, above: int | None) -> bool:
    return stat.S_ISLNK(os.stat(leaf, dir_fd=above, follow_symlinks=False).st_mode)


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
