"""A run on several hosts: preparing them, starting it, and following it to its end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ... import jobs
from ...context import Context
from ...environment import begin_setup, finish_setup
from ...errors import LabError, MissingFolderError, UsageError
from ...jobs.about import Run
from ...jobs.job import Job
from ...machine import Machine
from ...next_steps import Known, what_next
from ...scripts import ExitCode
from ...transfer.pushing import push_to
from ...ui.words import duration_in_words
from ..detaching import detach_on_interrupt
from ..folders import refuse_mixing
from ..labs import find_lab
from ..machines import RemoteJob, remember_machine
from ..progress import show_progress
from ..results import fetch_results
from ..resuming import resumed
from .host_jobs import End, find_jobs, follow_jobs, start_jobs, stop_jobs
from .hosts import Host, find_hosts, parse_network
from .launcher import RunRequest

__all__ = ["run_on_hosts", "watch_run"]

_MAX_RESTARTS = 3


def run_on_hosts(context: Context, request: RunRequest) -> None:
    """Run `lab run --hosts`.

    Without hosts it is the machine of `--alias`, or of `lab.toml`. Raises UsageError for what
    cannot be meant so, LabError when the run cannot be started or fails.
    """
    console, project, options = context.console, context.project, request.options
    hosts, processes, restarts = (
        options[name] for name in ("hosts", "nproc_per_node", "max_restarts")
    )
    aliases = _aliases(context, hosts) if hosts is not None else [project.alias(request.alias)]
    within = parse_network(options["network"])
    machines = [context.machine(one) for one in aliases]
    wanted = Run(
        lab=find_lab(project, request.lab),
        parameters=tuple(request.parameters),
        launcher="torchrun",
        hosts=tuple(aliases),
        processes=processes,
        variables=request.variables.recorded,
        secrets=tuple(request.variables.secret),
    )
    wanted = resumed(wanted, request.resume, machines)
    first = _same_run(context, machines, wanted)
    if first is not None and not request.again:
        console.note(
            "This run is already in progress, since "
            f"{first.job.started.astimezone():%d %b %H:%M}. To start another one: --again"
        )
    else:
        if not request.detach:
            refuse_mixing(context, _known(context, machines))
        _prepare(context, machines)
        ranked = (
            find_hosts(machines, console=console, network=within)
            if len(machines) > 1
            else [Host(machine=machines[0], address="", interface="", port=0)]
        )
        remember_machine(project, ranked[0].machine.alias)
        restarts = _MAX_RESTARTS if restarts is None else restarts
        first = start_jobs(
            wanted,
            ranked,
            max_restarts=restarts,
            folders=project.settings.output_folders,
            is_later=request.detach,
            secrets_of_run=request.variables.secret,
        )[0]
        where = ", ".join(host.machine.alias for host in ranked)
        console.note(f"Run {first.job.id} started on {where}; it continues without this computer.")
    if request.detach:
        console.next_step(what_next(context, Known(running=[first.job.id])))
    else:
        watch_run(context, first)


def watch_run(context: Context, first: RemoteJob) -> None:
    """Follow a run to its end on all its hosts, and bring its results home.

    `first` is rank 0's part. When one host has failed, the others are ended. Raises LabError when
    the run has not come to its end.
    """
    console, job = context.console, first.job
    where = ", ".join(job.run.hosts)
    parts, silent = find_jobs(context, first)
    if silent and not job.is_over:
        console.warn(f"No progress can be read from {', '.join(silent)}.")
    with (
        detach_on_interrupt(context, job.id, where=where),
        show_progress(console, verbose=True) as progress,
    ):
        ends = follow_jobs(parts, console=console, on_line=progress.on_line)
    _, lost = stop_jobs([end.part for end in ends if not isinstance(end.outcome, Job)])
    ended = ends[0].outcome
    if isinstance(ended, Job) and ended.state == "done":
        console.say(f"{job.title} ended after {duration_in_words(ended.duration)}.")
        results = fetch_results(context, first.machine, ended)
        console.next_step(what_next(context, Known(results=results)))
        return
    _show_failures(context, ends[1:])
    raise LabError(_failure(job, ends, lost), hint=_what_is_left(context, first, lost))


def _aliases(context: Context, text: str) -> list[str]:
    """Return the hosts of `a,b`. Raises UsageError."""
    aliases = [context.project.alias(part.strip()) for part in text.split(",") if part.strip()]
    if not aliases:
        raise UsageError("--hosts names no machine.", hint="lab run LAB --hosts gpu1,gpu2")
    twice = sorted({alias for alias in aliases if aliases.count(alias) > 1})
    if twice:
        raise UsageError(
            f"--hosts names {', '.join(twice)} more than once.",
            hint="For more processes on a machine: --nproc-per-node",
        )
    return aliases


def _same_run(context: Context, machines: Sequence[Machine], wanted: Run) -> RemoteJob | None:
    """Return the newest run of the same in progress. Raises LabError when a host is missing."""
    found = None
    for machine in machines:
        for job in _known(context, [machine]):
            is_same = job.run == wanted and not job.is_over and (found is None or job.is_here)
            if is_same and not jobs.replaces(machine, job, console=context.console):
                found = RemoteJob(machine=machine, job=job)
    return found


def _known(context: Context, machines: Sequence[Machine]) -> list[Job]:
    """Return the runs on machines that have the project. Raises LabError."""
    found: list[Job] = []
    for machine in machines:
        with suppress(MissingFolderError):
            found += jobs.list_jobs(machine, console=context.console, kind="run")
    return found


def _prepare(context: Context, machines: Sequence[Machine]) -> None:
    """Send the code to every host, and make the environments in parallel."""
    for machine in machines:
        push_to(context, machine)
    begun = [(machine, begin_setup(context, machine)) for machine in machines]
    for machine, job in begun:
        finish_setup(context, machine, job)


def _show_failures(context: Context, ends: Sequence[End]) -> None:
    """Show the last that was printed where a process failed; rank 0's host was shown already."""
    for end in ends:
        if end.has_failed and not _misses_others(end):
            context.console.note(f"The last output of {end.part.machine.alias}:")
            for line in end.lines:
                context.console.log(f"  {line}")


def _misses_others(end: End) -> bool:
    return isinstance(end.outcome, Job) and end.outcome.exit_code == ExitCode.TRY_AGAIN


def _failure(run: Job, ends: Sequence[End], lost: Sequence[str]) -> str:
    """Return the sentence that says how a run ended that did not come to its end."""
    outcomes = [end.outcome for end in ends if isinstance(end.outcome, Job)]
    ours = [job for job in outcomes if job.id == run.id] or outcomes
    if ours and all(job.state == "stopped" for job in ours):
        return f"Run {run.id} was stopped."
    if lost:
        return (
            f"Run {run.id} has failed: {', '.join(lost)} can no longer be reached, and the other "
            "hosts waited too long."
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


def _what_is_left(context: Context, first: RemoteJob, lost: Sequence[str]) -> str:
    """Fetch what rank 0 has saved so far, and return what to do next."""
    if first.machine.alias in lost:
        return f"When {first.machine.alias} is back, to fetch the results: lab attach"
    return fetch_results(context, first.machine, first.job)
