"""`lab runs --remove`: clearing old runs, their results here and on the machine included."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..context import Context
from ..errors import LabError, UsageError
from ..files import exclusive
from ..jobs.job import Job
from ..machine import Machine
from ..next_steps import what_next
from ..records.comparison import Comparison, chosen, parse_goal
from ..records.reading import Record, records_in
from ..scripts import ExitCode, Explanations, run_script
from ..transfer.fetching import manifest_of
from ..transfer.outputs import INCOMING
from ..transfer.results import BlockedError, Results
from ..ui.words import counted, size_in_words, some
from .comparing import bring_records
from .listing import choose_run, known_from
from .machines import RemoteJob, find_jobs
from .sweeps.finding import find_set, find_sweep_id, sets_of, sweep_of
from .sweeps.state import Sweep

__all__ = ["remove_runs"]

_PART = re.compile(r"(?!\.\.?$)[^/\0]{1,255}")
_TIMEOUT = 600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class _Removal:
    """One run that will be removed."""

    machine: Machine
    id: str
    title: str
    folder: str
    """Where its results are, below `outputs/`; of a sweep, where those of its sets begin."""
    is_sweep: bool = False

    @property
    def script(self) -> str:
        """The script that removes it on its machine."""
        return "remove-sweep" if self.is_sweep else "remove-run"

    def folders(self, outputs: Path) -> list[str]:
        """Return the folders of its results here, relative to `outputs`."""
        if not self.is_sweep:
            return [self.folder]
        found = sorted(outputs.glob(f"{self.folder}-[0-9]*"))
        return [path.relative_to(outputs).as_posix() for path in found]


def remove_runs(
    context: Context,
    texts: Sequence[str],
    *,
    alias: str | None = None,
    yes: bool = False,
    keep_best: int | None = None,
    by: str | None = None,
) -> None:
    """Remove runs here and on their machine, after showing what goes and asking.

    With `keep_best`, the texts mean runs as they do for `lab runs --compare`, and so many of them
    stay. Raises LabError when one of them still runs, or cannot be meant; nothing is removed then.
    """
    console, outputs = context.console, context.project.outputs
    found = find_jobs(context, alias, "run")
    if keep_best is not None:
        removals = _all_but_the_best(context, found, texts, alias=alias, count=keep_best, by=by)
    else:
        removals = _removals_named(context, found, texts, alias=alias)
    results = Results(outputs)
    results.check()
    for removal in removals:
        console.say(f"{removal.id}  {removal.title}".rstrip())
        console.say(f"  on {removal.machine.alias}: {_there(removal)}")
        console.say(f"  here: {_here(outputs, removal)}")
    if not console.confirm("Remove these for good?", yes=yes, default=False):
        console.say("Nothing was removed.")
        return
    for removal in removals:
        for folder in removal.folders(outputs):
            _remove_here(results, folder)
        run_script(
            removal.machine, removal.script, *removal.folder.split("/"), "", timeout=_TIMEOUT,
            explanations=_explanations(removal.id),
        )  # fmt: skip
        console.say(f"Removed {removal.id}, here and on {removal.machine.alias}.")
    gone = {removal.id for removal in removals}
    left = [one.job for one in found if (one.job.run.sweep or one.job.id) not in gone]
    console.next_step(what_next(context, known_from(context, left)))


def _removals_named(
    context: Context, found: Sequence[RemoteJob], texts: Sequence[str], *, alias: str | None
) -> list[_Removal]:
    """Return what goes of the sweeps, the sets and the runs that these texts name."""
    name, otherwise = context.project.alias(alias), what_next(context)
    known = [one.job for one in found if not one.job.run.sweep]
    sweeps = {text: own for text in texts if (own := find_sweep_id(found, text)) is not None}
    removals = [
        removal
        for own in {*sweeps.values()}
        for removal in _removals_of_sweep(sweep_of(found, own))
    ]
    others = [text for text in texts if text not in sweeps]
    sets = {text: one for text in others if (one := find_set(found, text)) is not None}
    removals += [
        removal
        for sweep, number in dict.fromkeys(sets.values())
        if sweep not in sweeps.values()
        for removal in _removals_of_set(sweep_of(found, sweep), number)
    ]
    jobs = [
        choose_run(known, text, alias=name, otherwise=otherwise)
        for text in others
        if text not in sets
    ]
    return [*removals, *(_removal(found, job) for job in dict.fromkeys(jobs))]


def _removals_of_sweep(sweep: Sweep) -> list[_Removal]:
    """Return what each machine has of a sweep that is to be removed, with all its sets.

    Raises LabError while it runs.
    """
    if not sweep.is_over:
        raise _still_running(sweep.id)
    folder = f"{sweep.run.output_folder}/{sweep.id}"
    title = sweep.about.title
    return [
        _Removal(machine=one.machine, id=sweep.id, title=title, folder=folder, is_sweep=True)
        for one in {one.part: one for one in sweep.each}.values()
    ]


def _removals_of_set(sweep: Sweep, number: int) -> list[_Removal]:
    """Return the results of one set of a sweep, on each machine that may have them.

    Raises UsageError when there is no such set, and LabError while it may run.
    """
    sets = sets_of(sweep)
    run_id = f"{sweep.id}-{number}"
    if number not in sets.parameters:
        raise UsageError(
            f"{sweep.id} has no set {number}; it has {sweep.total:,}.",
            hint=f"lab runs {sweep.id}",
        )
    if number not in sets.outcomes and not sweep.is_over:
        raise LabError(
            f"{run_id} has not ended. Nothing was removed.",
            hint=f"End it first: lab stop {sweep.id}",
        )
    folder = f"{sweep.run.output_folder}/{run_id}"
    return [
        _Removal(machine=one.machine, id=run_id, title=sweep.about.title, folder=folder)
        for one in {one.part: one for one in sweep.each}.values()
    ]


def _removal(found: Sequence[RemoteJob], job: Job) -> _Removal:
    """Return what is to be removed. Raises LabError unless it is a folder of its own."""
    machine = next(one.machine for one in found if one.job is job)
    folder = f"{job.run.output_folder}/{job.id}"
    parts = folder.split("/")
    if len(parts) != 2 or not all(_PART.fullmatch(part) for part in parts):
        raise LabError(f"{job.id} has no folder of its own in outputs/.")
    if not job.is_over:
        raise _still_running(job.id)
    return _Removal(machine=machine, id=job.id, title=job.title, folder=folder)


def _all_but_the_best(
    context: Context,
    found: Sequence[RemoteJob],
    texts: Sequence[str],
    *,
    alias: str | None,
    count: int,
    by: str | None,
) -> list[_Removal]:
    """Return the runs that are meant, without the best ones, and without those that still run.

    Raises UsageError when none is meant, or none has the metric.
    """
    goal = parse_goal(by)
    bring_records(context, alias)
    known = records_in(context.project.outputs)
    matching = {record.name: record for text in texts for record in chosen(known, text)}
    if not matching:
        raise UsageError(f"No run with results matches {texts[0]!r}.", hint="lab runs --all")
    comparison = Comparison.of(list(matching.values()), goal)
    best = comparison.first(count)
    others = comparison.records[len(best) :]
    context.console.say(f"Kept: {', '.join(record.id for record in best)}")
    jobs: dict[str, dict[str, RemoteJob]] = {}
    for one in found:
        jobs.setdefault(one.job.run.sweep or one.job.id, {})[one.machine.alias] = one
    going_on = {one.job.run.sweep or one.job.id for one in found if not one.job.is_over}
    removals = []
    for record in others:
        own = [*jobs.get(record.sweep or record.id, {}).values()]
        if not _has_ended(record, own, going_on):
            context.console.say(f"Kept, because it has not ended: {record.id}")
            continue
        machines = [one.machine for one in own] or [context.machine(alias)]
        title = "" if record.run is None else record.run.title
        removals += [
            _Removal(machine=machine, id=record.id, title=title, folder=record.name)
            for machine in machines
        ]
    if not removals:
        raise UsageError(f"There is nothing to remove: {counted(len(matching), 'run')} matched.")
    return removals


def _has_ended(record: Record, own: Sequence[RemoteJob], going_on: Collection[str]) -> bool:
    """Return whether a run has ended; `own` are jobs of it or its sweep, if any is known."""
    if not own:  # one of an older version has no record
        return record.ended is not None or record.started is None
    if record.sweep:
        return record.ended is not None or record.sweep not in going_on
    return record.id not in going_on


def _still_running(job_id: str) -> LabError:
    return LabError(
        f"{job_id} is still running. Nothing was removed.", hint=f"End it first: lab stop {job_id}"
    )


def _explanations(job_id: str) -> Explanations:
    return {ExitCode.STILL_RUNNING: lambda _: _still_running(job_id)}


def _there(removal: _Removal) -> str:
    """Return in words what a run has left on its machine."""
    done = run_script(
        removal.machine, removal.script, *removal.folder.split("/"), "show", timeout=_TIMEOUT,
        explanations=_explanations(removal.id),
    )  # fmt: skip
    numbers = [line.strip() for line in done.stdout.splitlines()]
    if len(numbers) != 2 or not all(re.fullmatch("[0-9]{1,15}", one) for one in numbers):
        return "no results, only its log"
    sets = "-*" if removal.is_sweep else ""
    files, size = counted(int(numbers[0]), "file"), size_in_words(int(numbers[1]) * 1024)
    return f"outputs/{removal.folder}{sets} ({files}, {size})"


def _here(outputs: Path, removal: _Removal) -> str:
    """Return in words what of a run is here, what the person made or changed included."""
    folders = [outputs / folder for folder in removal.folders(outputs)]
    files = [path for folder in folders for path in folder.rglob("*") if not path.is_dir()]
    if not files:
        return "nothing"
    size = sum(path.lstat().st_size for path in files)
    manifest = manifest_of(outputs)
    own = []
    for path in files:
        name = path.relative_to(outputs).as_posix()
        if not any(record.agrees(path.lstat()) for record in manifest.records(name)):
            own.append(path.name)
    changed = f"; not from the machine: {some(own)}" if own else ""
    sets = "-*" if removal.is_sweep else ""
    what = f"{counted(len(files), 'file')}, {size_in_words(size)}{changed}"
    return f"outputs/{removal.folder}{sets} ({what})"


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
