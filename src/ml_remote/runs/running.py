"""`lab run`, `lab attach` and `lab stop`, whatever starts the runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .. import jobs
from ..context import Context
from ..errors import LabError, UnreachableError, UsageError
from ..far.env.sessions import KINDS
from ..next_steps import what_next
from .launchers import launcher_asked_for, launcher_of
from .launchers.launcher import Order
from .listing import choose_run, known_from
from .places import Found, find_jobs
from .watching import watching

__all__ = ["attach", "run", "stop_runs", "wait_for"]


def run(context: Context, order: Order) -> int:
    """Carry out `lab run` on the remote machine, or on several; return its exit code.

    Raises UsageError for a lab, parameter or mixture of options that does not exist, and LabError
    when the run cannot be started or fails.
    """
    return launcher_asked_for(order.options).run(context, order)


def attach(
    context: Context, text: str | None, *, alias: str | None = None, verbose: bool = False
) -> int:
    """Carry out `lab attach`: follow a run to its end and bring its results home.

    Return the exit code of a program, 0 for a lab.

    Raises UsageError when it is not clear which run is meant, LabError when not every cell ran.
    """
    known = find_jobs(context, alias, "run")
    name = context.project.alias(alias)
    job = choose_run([one.job for one in known], text, alias=name, otherwise=what_next(context))
    (found,) = [one for one in known if one.job is job]
    context.console.note(
        f"{job.title}, started {job.started.astimezone():%d %b %H:%M} on {found.machine.alias}"
    )
    if not job.run.command:
        context.own_failure = None  # of a lab there is no other exit code than lab's
    return launcher_of(job.run.launcher).watch(context, found, verbose=verbose)


def wait_for(context: Context, text: str | None, *, alias: str | None = None) -> int:
    """Carry out `lab runs --wait`: return the exit code of a run once it has ended.

    Raises LabError when that cannot be known.
    """
    known = find_jobs(context, alias, "run")
    name = context.project.alias(alias)
    job = choose_run([one.job for one in known], text, alias=name, otherwise=what_next(context))
    (found,) = [one for one in known if one.job is job]
    with watching(context.console, job.id, where=found.machine.alias):
        ended = jobs.follow(
            found.machine,
            job.id,
            console=context.console,
            on_line=lambda line: None,
            again=f"lab runs --wait {job.id}",
        )
    if ended.exit_code is None:
        raise LabError(f"Run {job.id} is {ended.state}, and left no exit code.", hint="lab runs")
    context.console.note(f"Run {job.id} is {ended.state}; exit code {ended.exit_code}.")
    return ended.exit_code


def stop_runs(
    context: Context,
    text: str | None,
    *,
    alias: str | None = None,
    stop_all: bool = False,
    forget: bool = False,
) -> None:
    """Carry out `lab stop`: end one run (or setup), or all runs, with everything they have started.

    Raises UsageError when it is not clear which one is meant.
    """
    name = context.project.alias(alias)
    if forget:
        _forget(context, text, alias=alias)
        return
    known = find_jobs(context, alias, "run", "setup")
    if text is not None:
        job = choose_run(
            [found.job for found in known], text, alias=name, otherwise=what_next(context)
        )
        chosen = [found for found in known if found.job is job]
    else:
        chosen = [found for found in known if found.job.kind == "run" and not found.job.is_over]
        if len(chosen) > 1 and not stop_all:
            ids = [found.job.id for found in chosen]
            raise UsageError(
                f"{len(chosen)} runs are going on: {', '.join(ids)}.",
                hint=f"lab stop {ids[-1]}, or all of them: lab stop --all",
            )
    if not chosen:
        context.console.say(f"No run is going on on {name}.")
    _stop_each(context, chosen)
    _say_what_next(context, known, ended={found.job.id for found in chosen})


def _forget(context: Context, text: str | None, *, alias: str | None) -> None:
    """Carry out `lab stop --forget`, for a job of any kind. Raises UsageError and LabError."""
    if text is None:
        raise UsageError("`--forget` needs the job to forget.", hint="List them: lab runs")
    known = find_jobs(context, alias, "run", "setup", "worker", *KINDS)
    name = context.project.alias(alias)
    job = choose_run([found.job for found in known], text, alias=name, otherwise=what_next(context))
    (found,) = [found for found in known if found.job is job]
    jobs.forget(found.machine, job.id)
    context.console.say(
        f"{job.id} ({job.title}) counts as over. If it still runs on {job.host}, it ends there."
    )
    _say_what_next(context, known, ended={job.id})


def _say_what_next(context: Context, known: Sequence[Found], *, ended: Collection[str]) -> None:
    """Say what to run next after these jobs have ended."""
    runs = [found.job for found in known if found.job.kind == "run"]
    step = what_next(context, known_from(context, runs, ended=ended), after="lab stop")
    context.console.next_step(step)


def _stop_each(context: Context, chosen: list[Found]) -> None:
    """End these jobs. Raises the last error, and UnreachableError for hosts that are silent."""
    silent: list[str] = []
    faults: list[LabError] = []
    for found in chosen:
        try:
            silent += _stop(context, found)
        except LabError as error:
            faults.append(error)
    for fault in faults[:-1]:
        context.console.warn(fault.message)
    if faults:
        raise faults[-1]
    if silent:
        raise UnreachableError(
            f"{', '.join(silent)} cannot be reached; what runs there ends by itself when it misses "
            "the others.",
            hint="When it is back, see: lab runs",
        )


def _stop(context: Context, found: Found) -> list[str]:
    """End one job, on all its hosts, and say so; return the hosts that could not be reached."""
    job = found.job
    launcher = launcher_of("ssh" if job.about.run is None else job.run.launcher)
    stopped = launcher.stop(context, found)
    how = f"is {stopped.state}" if job.is_over else "was stopped, with all it had started"
    context.console.say(f"{job.id} ({job.title}) {how}.")
    return list(stopped.silent)
