"""`lab runs SWEEP`: the sets of a sweep, one a line, and a sweep as `--json` prints it."""

from __future__ import annotations

from datetime import timedelta

from ...context import Context
from ...errors import UsageError
from ...next_steps import Known, what_next
from ...records.comparison import rounded
from ...ui.words import duration_in_words
from .finding import sets_of
from .following import reason_of
from .results import look_at_sweep
from .state import Outcome, Sets, Sweep

__all__ = ["show_sweep", "sweep_document"]


def show_sweep(
    context: Context, sweep: Sweep, *, only: int | None = None, as_json: bool = False
) -> None:
    """Show all sets of a sweep, or `only` one: what each was given and how it ended.

    Raises UsageError when there is no such set, and LabError.
    """
    console = context.console
    sets = sets_of(sweep)
    if only is not None:
        sets = sets.only(only)
    if not sets.parameters and only is not None:
        raise UsageError(
            f"{sweep.id} has no set {only}; it has {sweep.total:,}.", hint=f"lab runs {sweep.id}"
        )
    if as_json:
        document = {**sweep_document(sweep), "sets": _set_documents(sweep, sets)}
        console.json({"runs": [], "sweeps": [document]})
        return
    console.say(f"{sweep.id}  {sweep.state}  {sweep.line()}: {sweep.about.title}")
    if len(sweep.each) > 1:
        console.say(f"On {sweep.where}.")
    for line in _table(sweep, sets):
        console.say(line)
    best = _best(sweep, sets)
    if best:
        console.say(best)
    late = [one.place for one in sweep.each if one.place in sweep.given and one.living]
    if late:
        console.warn(
            f"Sets that other machines took over still run on {', '.join(late)}. To end them: lab "
            f"attach {sweep.id}"
        )
    if sweep.elsewhere:
        staying = ",".join(one.place for one in sweep.folders)
        console.warn(
            f"Nothing is known about the sets on {', '.join(sweep.elsewhere)}. To give them to "
            f"others: lab run --resume {sweep.id} --spread {staying}"
        )
    reason = reason_of(sweep, sets)
    if reason and sweep.is_over:
        console.say(f"{reason[0].upper()}{reason[1:]}.")
    console.next_step(what_next(context, _known(context, sweep), after=f"lab runs {sweep.id}"))


def sweep_document(sweep: Sweep) -> dict[str, object]:
    """Return a sweep as an object of JSON."""
    return {
        "id": sweep.id,
        "alias": sweep.machine.alias,
        "aliases": [*dict.fromkeys(one.machine.alias for one in sweep.each)],
        "silent": dict(sweep.elsewhere),
        "optimize": sweep.run.optimize or None,
        "title": sweep.about.title,
        "state": sweep.state,
        "started": sweep.started.astimezone().isoformat(timespec="seconds"),
        "seconds": round(sweep.duration.total_seconds()),
        "total": sweep.total,
        "done": sweep.done,
        "failed": sweep.failed,
        "running": sweep.running,
        "workers": [job.id for job in sweep.workers],
    }


def _best(sweep: Sweep, sets: Sets) -> str:
    """Return which set is the best so far, where the sweep is for something."""
    how, _, metric = sweep.run.optimize.partition(":")
    values = {key: one.value for key, one in sets.outcomes.items() if one.value is not None}
    if not values:
        return ""
    key = (max if how == "max" else min)(values, key=lambda one: values[one])
    pairs = ", ".join(f"{name} {value}" for name, value in sets.parameters.get(key, ()))
    return f"The best so far: {sweep.id}-{key}, {metric} {rounded(values[key])}: {pairs}"


def _known(context: Context, sweep: Sweep) -> Known:
    if not sweep.is_over:
        return Known(running=[sweep.id])
    if sweep.left or sweep.failed:
        return Known(interrupted=sweep.id)
    folder = f"{sweep.run.output_folder}/{sweep.id}-1"
    if (context.project.outputs / folder).is_dir():
        return Known(results=look_at_sweep(context.project, sweep.run))
    return Known(results="lab pull fetches all results")


def _state(sweep: Sweep, sets: Sets, number: int) -> str:
    """Return the state of one set; what has failed before the sweep was resumed is left."""
    outcome = sets.outcomes.get(number)
    if any(number == one for one, _ in sets.elsewhere):
        return "unknown"
    if outcome is None:
        return "running" if number in sets.begun and not sweep.is_over else "left"
    return "done" if outcome.exit_code == 0 else "failed"


def _table(sweep: Sweep, sets: Sets) -> list[str]:
    names = sweep.run.swept
    metric = sweep.run.optimize.partition(":")[2]
    rows = [("RUN", "STATE", "TOOK", "EXIT", *names, *([metric] if metric else []))]
    for number, pairs in sorted(sets.parameters.items()):
        outcome = sets.outcomes.get(number)
        took, code = "", ""
        if outcome is not None:
            took = duration_in_words(timedelta(seconds=outcome.seconds))
            code = "lost" if outcome.exit_code is None else str(outcome.exit_code)
        values = dict(pairs)
        row = (f"{sweep.id}-{number}", _state(sweep, sets, number), took, code)
        reached = [] if not metric else [_reached(outcome)]
        rows.append((*row, *(values.get(name, "") for name in names), *reached))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _reached(outcome: Outcome | None) -> str:
    if outcome is None or outcome.exit_code != 0:
        return ""
    return "no number" if outcome.value is None else rounded(outcome.value)


def _set_documents(sweep: Sweep, sets: Sets) -> list[dict[str, object]]:
    documents: list[dict[str, object]] = []
    for number, pairs in sorted(sets.parameters.items()):
        outcome = sets.outcomes.get(number)
        documents.append(
            {
                "id": f"{sweep.id}-{number}",
                "state": _state(sweep, sets, number),
                "parameters": dict(pairs),
                "exit_code": None if outcome is None else outcome.exit_code,
                "seconds": None if outcome is None else outcome.seconds,
                "said": None if outcome is None else outcome.said,
                "value": None if outcome is None else outcome.value,
            }
        )
    return documents
