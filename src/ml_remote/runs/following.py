"""`lab attach`, `lab stop` and `lab runs --wait`, whatever has started the runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .. import jobs
from ..context import Context
from ..errors import LabError, UnreachableError, UsageError
from ..far.env.sessions import KINDS
from ..next_steps import what_next
from .detaching import detach_on_interrupt
from .for_each import for_each
from .launchers import launcher_of
from .listing import choose_run, known_from
from .machines import RemoteJob, find_jobs
from .sweeps.finding import find_sweep_id, refuse_set, sweep_of, sweeps_among
from .sweeps.following import follow, wait_for_end
from .sweeps.following import stop as stop_sweep
from .sweeps.state import Sweep

__all__ = ["attach", "stop_runs", "wait_for"]


def attach(
    context: Context, text: str | None, *, alias: str | None = None, verbose: bool = False
) -> int:
    """Run `lab attach`: follow a run to its end and fetch its results.

    Return the exit code of a program, 0 for a lab.

    Raises UsageError when it is not clear which run is meant, LabError when not every cell ran.
    """
    known = find_jobs(context, alias, "run")
    refuse_set(known, text, what="attach")
    found = _chosen(context, known, text, alias=alias)
    if isinstance(found, Sweep):
        started = found.started.astimezone()
        context.console.note(
            f"{found.about.title}, started {started:%d %b %H:%M} on {found.machine.alias}"
        )
        return follow(context, found)
    job = found.job
    context.console.note(
        f"{job.title}, started {job.started.astimezone():%d %b %H:%M} on {found.machine.alias}"
    )
    if not job.run.command:
        context.own_failure = None  # of a lab there is no other exit code than lab's
    return launcher_of(job.run.launcher).watch(context, found, verbose=verbose)


def wait_for(context: Context, text: str | None, *, alias: str | None = None) -> int:
    """Run `lab runs --wait`: return the exit code of a run once it has ended.

    Raises LabError when that cannot be known.
    """
    known = find_jobs(context, alias, "run")
    refuse_set(known, text, what="runs --wait")
    found = _chosen(context, known, text, alias=alias)
    if isinstance(found, Sweep):
        return wait_for_end(context, found)
    job = found.job
    with detach_on_interrupt(context, job.id, where=found.machine.alias):
        ended = jobs.follow(
            found.machine,
            job.id,
            console=context.console,
            on_line=lambda line: None,
            again=f"lab runs --wait {job.id}",
        )
    if ended.exit_code is None:
        raise LabError(f"Run {job.id} is {ended.state}, without an exit code.", hint="lab runs")
    context.console.note(f"Run {job.id} is {ended.state}; exit code {ended.exit_code}.")
    return ended.exit_code


def _chosen(
    context: Context, known: Sequence[RemoteJob], text: str | None, *, alias: str | None
) -> RemoteJob | Sweep:
    """Return the run or the sweep that is meant; None means the one to look at now.

    Raises UsageError when that is not clear.
    """
    own = find_sweep_id(known, text)
    if own is None:
        name = context.project.alias(alias)
        # A worker is only another name of its sweep.
        jobs_of_it = [one.job for one in known if text is None or not one.job.run.sweep]
        job = choose_run(jobs_of_it, text, alias=name, otherwise=what_next(context))
        (found,) = [one for one in known if one.job is job]
        if not job.run.sweep:
            return found
        own = job.run.sweep
    return sweep_of(known, own)


def stop_runs(
    context: Context,
    text: str | None,
    *,
    alias: str | None = None,
    stop_all: bool = False,
    forget: bool = False,
) -> None:
    """Run `lab stop`: end one run (or setup), or all runs, with everything they have started.

    Raises UsageError when it is not clear which one is meant.
    """
    name = context.project.alias(alias)
    if forget:
        _forget(context, text, alias=alias)
        return
    known = find_jobs(context, alias, "run", "setup")
    own = find_sweep_id(known, text)
    if own is not None:
        chosen = [found for found in known if _id(found) == own]
    elif text is not None:
        refuse_set(known, text, what="stop")
        plain = [found.job for found in known if _id(found) == found.job.id]
        job = choose_run(plain, text, alias=name, otherwise=what_next(context))
        chosen = [found for found in known if found.job is job]
    else:
        chosen = [found for found in known if found.job.kind == "run" and not found.job.is_over]
        ids = list(dict.fromkeys(map(_id, chosen)))
        if len(ids) > 1 and not stop_all:
            raise UsageError(
                f"{len(ids)} runs are in progress: {', '.join(ids)}.",
                hint=f"lab stop {ids[-1]}, or all of them: lab stop --all",
            )
    if not chosen:
        context.console.say(f"No run is in progress on {name}.")
    for sweep in sweeps_among(chosen):
        stop_sweep(context, sweep)
    _stop_each(context, [found for found in chosen if _id(found) == found.job.id])
    _say_what_next(context, known, ended={found.job.id for found in chosen})


def _id(found: RemoteJob) -> str:
    """Return the id by which a person knows a job: that of its sweep, if it is a worker of one."""
    job = found.job
    return (job.run.sweep if job.kind == "run" else "") or job.id


def _forget(context: Context, text: str | None, *, alias: str | None) -> None:
    """Run `lab stop --forget`, for a job of any kind. Raises UsageError and LabError."""
    if text is None:
        raise UsageError("`--forget` needs a job.", hint="List them: lab runs")
    known = find_jobs(context, alias, "run", "setup", "worker", *KINDS)
    name = context.project.alias(alias)
    refuse_set(known, text, what="stop --forget")
    own = find_sweep_id(known, text)
    if own is None:
        every = [found.job for found in known]
        job = choose_run(every, text, alias=name, otherwise=what_next(context))
        chosen = [found for found in known if found.job is job]
    else:  # all its workers
        chosen = [found for found in known if _id(found) == own and not found.job.is_over]
    for found in chosen:
        job = found.job
        jobs.forget(found.machine, job.id)
        context.console.say(
            f"{job.id} ({job.title}) is marked as ended. If it still runs on {job.host}, it will "
            "end there."
        )
    _say_what_next(context, known, ended={found.job.id for found in chosen})


def _say_what_next(context: Context, known: Sequence[RemoteJob], *, ended: Collection[str]) -> None:
    """Report what to run next after these jobs have ended."""
    runs = [found.job for found in known if found.job.kind == "run"]
    left = known_from(context, runs, ended=ended)
    context.console.next_step(what_next(context, left, after="lab stop"))


def _stop_each(context: Context, chosen: list[RemoteJob]) -> None:
    """End these jobs. Raises the last error, and UnreachableError for hosts that are silent."""
    left = for_each(chosen, lambda found: _stop(context, found), console=context.console)
    silent = [host for hosts in left for host in hosts]
    if silent:
        raise UnreachableError(
            f"{', '.join(silent)} cannot be reached. Processes on a lost machine end by themselves "
            "once they lose the others.",
            hint="To check later: lab runs",
        )


def _stop(context: Context, found: RemoteJob) -> list[str]:
    """End one job, on all its hosts, and say so; return the hosts that could not be reached."""
    job = found.job
    launcher = launcher_of("ssh" if job.about.run is None else job.run.launcher)
    stopped = launcher.stop(context, found)
    how = f"is {stopped.state}" if job.is_over else "was stopped, with every process it had started"
    context.console.say(f"{job.id} ({job.title}) {how}.")
    return list(stopped.silent)
