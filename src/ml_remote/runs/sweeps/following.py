"""Following a sweep to its end, showing its sets, and stopping it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ... import jobs
from ...context import Context
from ...errors import HostKeyChangedError, LabError, LoginRefusedError, UnreachableError
from ...jobs.outage import Outage
from ...next_steps import Known, what_next
from ...scripts import run_script
from ...transfer.choosing import Choice
from ...transfer.fetch_report import fetch_and_report
from ...ui.display import steps
from ..detaching import detach_on_interrupt
from ..for_each import for_each
from .finding import sets_of, wait_for_change
from .merging import merge_parts
from .results import look_at_sweep
from .state import Sets, Sweep

__all__ = ["fetch_results", "follow", "reason_of", "stop", "wait_for_end"]

_PATIENCE = 600.0  # seconds
_FAILED = 1
_WAIT = 30  # seconds for which a machine waits until there is something to tell
_SHORT_WAIT = 4


def follow(context: Context, sweep: Sweep) -> int:
    """Show how a sweep gets on until nobody is at work, and bring its results home.

    Return 0 when all sets are done, else 1. Raises LabError when a machine does not come back.
    """
    _end_what_was_given(context, sweep)
    with detach_on_interrupt(context, sweep.id, where=sweep.where), steps() as shown:
        said = ""
        for now in _changes(context, sweep):
            sweep = now
            if sweep.line() != said:
                said = sweep.line()
                shown.line(said) if shown.is_drawn else context.console.note(said)
    return _end(context, sweep)


def wait_for_end(context: Context, sweep: Sweep) -> int:
    """Wait until nobody is at work on a sweep; return 0 when all its sets are done, else 1."""
    with detach_on_interrupt(context, sweep.id, where=sweep.where):
        if not sweep.is_over:
            *_, sweep = _changes(context, sweep)
    context.console.note(f"Sweep {sweep.id} is {sweep.state}: {sweep.line()}.")
    return 0 if sweep.state == "done" else _FAILED


def _changes(context: Context, sweep: Sweep) -> Iterator[Sweep]:
    """Yield a sweep each time that it may have changed, until nobody is at work on it.

    Of several machines, one after the other is asked, and waits for a shorter time.
    """
    parts = list(sweep.each)
    seen = ["" for _ in parts]
    seconds = _WAIT if len(parts) == 1 else _SHORT_WAIT
    is_first = True
    while is_first or not all(part.is_over for part in parts):
        for number, part in enumerate(parts):
            if is_first or not part.is_over:
                parts[number], seen[number] = _next(context, part, seen[number], seconds)
        is_first = False
        (now,) = merge_parts(parts)
        yield now


def _next(context: Context, sweep: Sweep, seen: str, seconds: int) -> tuple[Sweep, str]:
    """Return the sweep once it has changed, or after a time; a lost connection is made again."""
    alias = sweep.machine.alias
    outage = Outage(alias, again=f"lab attach {sweep.id}", patience=_PATIENCE)
    while True:
        try:
            found = wait_for_change(sweep, seen, seconds)
        except (LoginRefusedError, HostKeyChangedError):
            raise
        except UnreachableError as error:
            if not outage.lasts:
                context.console.note(
                    f"{error.message} The sweep continues; reconnecting to {alias}."
                )
            outage.wait(error)
            continue
        if outage.lasts:
            context.console.note(f"The connection to {alias} is back.")
        return found


def _end(context: Context, sweep: Sweep) -> int:
    """Fetch the results of a sweep and report how it ended."""
    console = context.console
    fetch_results(context, sweep)
    what = f"Sweep {sweep.id} on {sweep.where}"
    if sweep.state == "done":
        sets = "its one set is" if sweep.total == 1 else f"all {sweep.total} sets are"
        console.say(f"{what}: {sets} done.")
        results = look_at_sweep(context.project, sweep.run)
        console.next_step(what_next(context, Known(results=results)))
        return 0
    reason = reason_of(sweep, sets_of(sweep))
    console.error(
        f"{what}: {sweep.line()}{f'; {reason}' if reason else ''}.",
        hint=f"To see all of them: lab runs {sweep.id}; to run those that are left or failed: lab "
        f"run --resume {sweep.id}",
    )
    return _FAILED


def reason_of(sweep: Sweep, sets: Sets) -> str:
    """Return why a sweep did not get to its end, as the end of a sentence; empty where it did."""
    failed = [one for number, one in sorted(sets.outcomes.items()) if one.exit_code != 0]
    if sweep.why == "proposals":
        return f'it ended, because no further set could be proposed: "{sets.reason}"'
    if sweep.why == "failures":
        return f'it ended, because five sets in a row failed: "{sets.reason}"'
    if sweep.state == "stopped":
        return "it was stopped"
    if sweep.state == "interrupted":
        return "its workers ended before the last set"
    said = next((one.said for one in failed if one.said), "")
    return f'the last line of the first that failed: "{said}"' if said else ""


def fetch_results(context: Context, sweep: Sweep) -> None:
    """Fetch what the sets of a sweep have saved, from all its machines; a failure is a warning."""
    for one in sweep.folders:
        try:
            fetch_and_report(
                context,
                one.machine,
                only=sweep.run.output_folder,
                choice=Choice(only=(f"{sweep.id}-*",)),
            )
        except LabError as error:
            context.console.warn(f"{error} Later: lab pull")


def stop(context: Context, sweep: Sweep) -> None:
    """End a sweep: no worker takes another set, and those that run are ended.

    Raises the last error where one cannot be ended.
    """
    for_each(sweep.each, _stop_part, console=context.console)
    how = f"is {sweep.state}" if sweep.is_over else "was stopped, with every process it had started"
    context.console.say(f"{sweep.id} ({sweep.about.title}) {how}: {_done(sweep)}.")
    if sweep.elsewhere:
        silent = ", ".join(sweep.elsewhere)
        context.console.warn(f"It may continue on machines that do not answer: {silent}.")


def _end_what_was_given(context: Context, sweep: Sweep) -> None:
    """End what machines still run of a sweep whose sets others have now. Raises LabError."""
    for one in sweep.each:
        if one.place in sweep.given and one.living:
            _stop_part(one)
            context.console.note(f"Ended sets on {one.place} that other machines have taken over.")


def _stop_part(part: Sweep) -> None:
    machine = part.machine
    run_script(machine, "resume-sweep", part.id, "stop", job=part.id)
    if part.living:
        with ThreadPoolExecutor(max_workers=min(8, len(part.living))) as pool:
            list(pool.map(lambda job: jobs.stop(machine, job.id), part.living))


def _done(sweep: Sweep) -> str:
    return f"{sweep.done} of {sweep.total} done"
