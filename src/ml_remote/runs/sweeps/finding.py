"""Listing sweeps, and finding the one a person means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...answers import unusable
from ...context import Context
from ...errors import LabError, UsageError
from ...jobs.job import Job, parse_answer
from ...machine import Machine
from ...scripts import run_script
from ..machines import RemoteJob, find_jobs
from .merging import merge_parts
from .state import Sets, Sweep, parse_sets, parse_sweeps

__all__ = [
    "find_set",
    "find_sweep_id",
    "interrupted_among",
    "offer_to_resume",
    "read_sweep",
    "refuse_set",
    "sets_of",
    "sets_of_each",
    "sweep_of",
    "sweeps_among",
    "wait_for_change",
]

_NUMBER = re.compile("[1-9][0-9]{0,5}")
_LONGEST_WAIT = 120.0  # seconds; the script answers after half a minute at most


def sweeps_among(found: Sequence[RemoteJob]) -> list[Sweep]:
    """Return the sweeps that these jobs are workers of, the oldest first.

    Raises LabError when a machine that has some does not answer.
    """
    machines: dict[str, tuple[Machine, list[Job]]] = {}
    for one in found:
        if one.job.kind == "run" and one.job.run.sweep:
            machines.setdefault(one.machine.alias, (one.machine, []))[1].append(one.job)
    sweeps: list[Sweep] = []
    for machine, workers in machines.values():
        ids = dict.fromkeys(job.run.sweep for job in workers)
        text = run_script(machine, "list-sweeps", *ids).stdout
        sweeps += parse_sweeps(text, machine=machine, workers=workers)
    return sorted(merge_parts(sweeps), key=lambda sweep: (sweep.started, sweep.id))


def interrupted_among(found: Sequence[RemoteJob]) -> str:
    """Return the id of the latest sweep with sets left and nobody at work; empty if there is none.

    Only sweeps whose workers are all over are asked for. Raises LabError.
    """
    at_work = {one.job.run.sweep for one in found if not one.job.is_over}
    sweeps = sweeps_among([one for one in found if one.job.run.sweep not in at_work])
    ids = [
        sweep.id
        for sweep in sweeps
        if sweep.state == "interrupted" and sweep.left > sum(sweep.elsewhere.values())
    ]
    return ids[-1] if ids else ""


def offer_to_resume(context: Context, machine: Machine, known: Sequence[Job]) -> None:
    """Report which sweep was interrupted: all its workers have ended, and some were lost.

    `known` are the runs of the machine, which is asked only then. Raises LabError.
    """
    workers: dict[str, list[Job]] = {}
    for job in known:
        workers.setdefault(job.run.sweep, []).append(job)
    found = [
        RemoteJob(machine=machine, job=job)
        for sweep, own in workers.items()
        if sweep and all(job.is_over for job in own) and any(job.state == "lost" for job in own)
        for job in own
    ]
    interrupted = interrupted_among(found)
    if interrupted:
        context.console.note(
            f"Sweep {interrupted} was interrupted. To continue it: lab run --resume {interrupted}"
        )


def find_sweep_id(found: Sequence[RemoteJob], text: str | None) -> str | None:
    """Return the id of the sweep that a text means, None when it means none.

    It is the id of a sweep, or a part of the ids of one sweep and no run. None means none.
    """
    if text is None:
        return None
    ids = {one.job.run.sweep for one in found if one.job.kind == "run" and one.job.run.sweep}
    if text in ids:
        return text
    others = {one.job.id for one in found if one.job.kind != "run" or not one.job.run.sweep}
    if text in others:
        return None
    like = [one for one in ids if text in one]
    return like[0] if len(like) == 1 and not any(text in one for one in others) else None


def find_set(found: Sequence[RemoteJob], text: str | None) -> tuple[str, int] | None:
    """Return the sweep and the number of the set that `SWEEP-N` means, None when it means none.

    A text that is in the id of a run, such as its time, means that run.
    """
    name, dash, number = (text or "").rpartition("-")
    if text is None or not dash or _NUMBER.fullmatch(number) is None:
        return None
    if any(
        text in one.job.id or text in one.job.run.sweep for one in found if one.job.kind == "run"
    ):
        return None
    own = find_sweep_id(found, name)
    return None if own is None or not own.endswith(name) else (own, int(number))


def refuse_set(found: Sequence[RemoteJob], text: str | None, *, what: str) -> None:
    """Raise UsageError where a text means one set of a sweep, which has no job of its own.

    `what` is the command that does it with the whole sweep.
    """
    one = find_set(found, text)
    if one is not None:
        job_id, number = one
        run = f"{job_id}-{number}"
        raise UsageError(
            f"{run} is one set of the sweep {job_id}.",
            hint=f"lab {what} {job_id}, or to see that set: lab show {run}",
        )


def sweep_of(found: Sequence[RemoteJob], sweep_id: str) -> Sweep:
    """Return a sweep by its id. Raises LabError when its folder is gone or cannot be read."""
    own = [one for one in found if one.job.kind == "run" and one.job.run.sweep == sweep_id]
    sweeps = sweeps_among(own)
    if len(sweeps) != 1:
        raise LabError(
            f"The machine's record of the sweep {sweep_id} cannot be read.", hint="lab runs"
        )
    return sweeps[0]


def read_sweep(context: Context, text: str, *, alias: str | None) -> Sweep:
    """Return the sweep that a text means. Raises UsageError when it means none."""
    found = find_jobs(context, alias, "run")
    own = find_sweep_id(found, text)
    if own is not None:
        return sweep_of(found, own)
    raise UsageError(
        f"No sweep on {context.project.alias(alias)} matches {text!r}.",
        hint="List them: lab runs --all; to continue from a run's checkpoint: lab run LAB "
        "--resume RUN",
    )


def sets_of(sweep: Sweep) -> Sets:
    """Return the sets of a sweep, and how those that have ended did."""
    found = sets_of_each(sweep)
    own = {number: pairs for one in found for number, pairs in one.parameters.items()}
    lost = {
        number: (alias, pairs)
        for one in found
        for (number, alias), pairs in one.elsewhere.items()
        if number not in own and alias in sweep.elsewhere
    }
    return Sets(
        parameters={**own, **{number: pairs for number, (_, pairs) in lost.items()}},
        outcomes={number: how for one in found for number, how in one.outcomes.items()},
        begun=frozenset().union(*(one.begun for one in found)),
        elsewhere={(number, alias): pairs for number, (alias, pairs) in lost.items()},
        reason=next((one.reason for one in found if one.reason), ""),
    )


def sets_of_each(sweep: Sweep) -> list[Sets]:
    """Return the sets that each folder of a sweep has, in the order of `sweep.folders`."""
    return [
        parse_sets(run_script(one.machine, "show-sweep", sweep.id, job=sweep.id).stdout)
        for one in sweep.folders
    ]


def wait_for_change(sweep: Sweep, seen: str, seconds: int) -> tuple[Sweep, str]:
    """Return a sweep once it is not as it was `seen`, or after a time; and what is seen now.

    Raises LabError when it is gone, UnreachableError.
    """
    workers = [job.id for job in sweep.living]
    done = run_script(
        sweep.machine,
        "wait-sweep",
        sweep.id,
        seen,
        str(seconds),
        *workers,
        job=sweep.id,
        timeout=_LONGEST_WAIT,
    )
    living = parse_answer(done.stdout).jobs
    over = [job for job in sweep.workers if job.id not in workers]
    known = parse_sweeps(done.stdout, machine=sweep.machine, workers=[*over, *living])
    if len(known) != 1:
        raise unusable("sweep", f"{len(known)} sweeps")
    (now,) = known
    lines = [line.partition("\t") for line in done.stdout.split("\n")]
    return now, next((rest for word, _, rest in lines if word == "seen"), "")
