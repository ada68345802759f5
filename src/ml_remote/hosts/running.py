"""`lab run --hosts`: a lab on several machines at the same time, by torchrun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..context import Context
from ..environment import begin_setup, finish_setup
from ..errors import LabError, MissingFolderError, UsageError
from ..machine import Machine, read_machine
from ..project import Project
from ..runs import jobs
from ..runs.homecoming import bring_home
from ..runs.job import Job
from ..runs.labs import Lab, find_lab, hosts_of
from ..runs.listing import duration_in_words
from ..runs.progress import show_progress
from ..runs.resuming import resumed
from ..runs.watching import watching
from ..settings import machine_alias, project_root
from ..transfer.pushing import push_to
from ..ui import console
from .addresses import Seat, find_seats, parse_network
from .group import End, Part, find_parts, follow_parts, start_parts, stop_parts
from .places import remember

__all__ = ["run_on_hosts", "watch_run"]

_OTHERS_GONE = 75  # the exit code of far/env/launch.py where only the other hosts were missing


def run_on_hosts(
    name: str,
    parameters: Sequence[tuple[str, str]],
    *,
    hosts: str | None,
    alias: str | None,
    processes: int | None,
    max_restarts: int,
    network: str | None,
    resume: str | None,
    detach: bool,
    again: bool,
) -> None:
    """Carry out `lab run --hosts`; the arguments are those of the command line.

    Without `hosts` it is the machine of `alias`, or of `lab.toml`. Raises UsageError for what
    cannot be meant so, LabError when the run cannot be started or fails.
    """
    aliases = _aliases(hosts) if hosts is not None else [machine_alias(alias)]
    within = parse_network(network)
    machines = [read_machine(one) for one in aliases]
    lab = resumed(_with_options(find_lab(name, parameters), aliases, processes), resume, machines)
    part = _same_run(machines, lab)
    if part is not None and not again:
        console.note(
            f"This run is going on already, since {part.job.started.astimezone():%d %b %H:%M}. "
            "For another one beside it: --again"
        )
    else:
        _prepare(machines)
        seats = (
            find_seats(machines, network=within)
            if len(machines) > 1
            else [Seat(machine=machines[0], address="", interface="", port=0)]
        )
        remember(seats[0].machine.alias)
        part = start_parts(lab, seats, processes=processes, max_restarts=max_restarts)[0]
        where = ", ".join(seat.machine.alias for seat in seats)
        console.note(f"Run {part.job.id} started on {where}; it goes on without this computer.")
    if detach:
        console.next_step(f"lab attach {part.job.id}")
    else:
        watch_run(part)


def watch_run(first: Part) -> None:
    """Follow a run to its end on all its hosts, and bring its results home.

    `first` is rank 0's part. When one host has failed, the others are ended. Raises LabError when
    the run has not come to its end.
    """
    run = first.job
    where = ", ".join(hosts_of(run.name))
    parts, silent = find_parts(first)
    if silent and not run.is_over:
        console.warn(f"{', '.join(silent)} cannot be asked how it gets on there.")
    with watching(run.id, where=where), show_progress(verbose=True) as progress:
        ends = follow_parts(parts, on_line=progress.on_line)
    _, lost = stop_parts([end.part for end in ends if not isinstance(end.outcome, Job)])
    ended = ends[0].outcome
    if isinstance(ended, Job) and ended.state == "done":
        console.say(f"{run.name} came to its end in {duration_in_words(ended.duration)}.")
        console.next_step(bring_home(first.machine, ended))
        return
    _show_failures(ends[1:])
    raise LabError(_failure(run, ends, lost), hint=_what_is_left(first, lost))


def _aliases(text: str) -> list[str]:
    """Return the hosts of `a,b`. Raises UsageError."""
    aliases = [machine_alias(part.strip()) for part in text.split(",") if part.strip()]
    if not aliases:
        raise UsageError("--hosts names no machine.", hint="lab run LAB --hosts gpu1,gpu2")
    twice = sorted({alias for alias in aliases if aliases.count(alias) > 1})
    if twice:
        raise UsageError(
            f"--hosts names {', '.join(twice)} more than once.",
            hint="For more processes on a machine: --nproc-per-node",
        )
    return aliases


def _with_options(lab: Lab, aliases: Sequence[str], processes: int | None) -> Lab:
    """Return the lab with what else tells one run from another."""
    options = ["--hosts", ",".join(aliases)]
    if processes is not None:
        options += ["--nproc-per-node", str(processes)]
    return replace(lab, options=options)


def _same_run(machines: Sequence[Machine], lab: Lab) -> Part | None:
    """Return the newest run of the same that goes on. Raises LabError when a host is missing."""
    found = None
    for machine in machines:
        try:
            known = jobs.list_jobs(machine, kind="run")
        except MissingFolderError:
            continue
        for job in known:
            if job.name == lab.title and not job.is_over and (found is None or job.is_here):
                found = Part(machine=machine, job=job)
    return found


def _prepare(machines: Sequence[Machine]) -> None:
    """Bring the code and the environment to every host; environments are made at the same time."""
    context = Context(project=Project(root=project_root()), console=console.shared)
    for machine in machines:
        push_to(context, machine)
    begun = [(machine, begin_setup(context, machine)) for machine in machines]
    for machine, job in begun:
        finish_setup(context, machine, job)


def _show_failures(ends: Sequence[End]) -> None:
    """Show the last that was printed where a process failed; rank 0's host was shown already."""
    for end in ends:
        if end.has_failed and not _misses_others(end):
            console.note(f"The last that {end.part.machine.alias} printed:")
            for line in end.lines:
                console.note(f"  {line}")


def _misses_others(end: End) -> bool:
    return isinstance(end.outcome, Job) and end.outcome.exit_code == _OTHERS_GONE


def _failure(run: Job, ends: Sequence[End], lost: Sequence[str]) -> str:
    """Return the sentence that says how a run ended that did not come to its end."""
    outcomes = [end.outcome for end in ends if isinstance(end.outcome, Job)]
    ours = [job for job in outcomes if job.id == run.id] or outcomes
    if ours and all(job.state == "stopped" for job in ours):
        return f"Run {run.id} was stopped."
    if lost:
        return (
            f"Run {run.id} has failed: {', '.join(lost)} cannot be reached any more, and the other "
            "hosts waited for it in vain."
        )
    failed = [
        f"{end.part.machine.alias} ({_how(end.outcome)})"
        for end in ends
        if isinstance(end.outcome, Job) and end.has_failed and not _misses_others(end)
    ]
    if failed:
        return f"Run {run.id} failed on {', '.join(failed)}; it was ended on the other hosts."
    return f"Run {run.id} has failed: its hosts lost each other for too long."


def _how(job: Job) -> str:
    if job.exit_code is None:
        return "killed, or the machine was restarted"
    return f"exit code {job.exit_code}"


def _what_is_left(first: Part, lost: Sequence[str]) -> str:
    """Bring home what rank 0 has saved so far, and return what to do next."""
    if first.machine.alias in lost:
        return f"When {first.machine.alias} is back, its results can be had: lab attach"
    return bring_home(first.machine, first.job)
