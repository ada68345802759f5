"""`lab runs --compare`: runs side by side, as a table, as CSV, as JSON or as a picture."""

from __future__ import annotations

import csv
import io
import math
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ..answers import JOB, is_a
from ..context import Context
from ..errors import LabError, UsageError
from ..next_steps import Known, what_next
from ..records.comparison import Comparison, chosen, parse_goal, rounded
from ..records.reading import FILES, Record, records_in
from ..transfer.choosing import Choice
from ..transfer.fetching import fetch_outputs
from ..ui.text import in_one_line
from ..ui.words import counted
from .drawing import draw
from .machines import machines_with_runs

__all__ = ["bring_records", "compare_runs"]

_SHOWN = 20  # runs in the table
_COLUMNS = 6  # metrics in the table
_WIDEST = 28  # characters of a cell
_BEST = "* "


def compare_runs(
    context: Context,
    pattern: str | None,
    *,
    alias: str | None = None,
    by: str | None = None,
    as_csv: bool = False,
    as_json: bool = False,
    plot: str | None = None,
    show_all: bool = False,
) -> None:
    """Run `lab runs --compare`. Raises LabError when there is nothing to compare."""
    console, goal = context.console, parse_goal(by)
    bring_records(context, alias)
    records = chosen(records_in(context.project.outputs), pattern)
    if not records and pattern:
        raise UsageError(f"No run with results matches {pattern!r}.", hint="lab runs --all")
    if not records:
        raise LabError("No run has results to compare yet.", hint="lab runs --all")
    comparison = Comparison.of(records, goal)
    if as_json:
        console.json(_document(comparison))
    elif as_csv:
        console.output(_csv(comparison).rstrip("\n"))
    else:
        _show(context, comparison, show_all=show_all)
    if plot is not None:
        draw(context, comparison, Path(plot), alias=alias)
        if not as_json and not as_csv:
            console.say(f"Drawn: {plot}")
    if not as_json and not as_csv:
        first = comparison.records[0]
        is_shown = is_a(JOB, first.id) and (goal is not None or not comparison.metrics)
        look = f"lab show {first.id}" if is_shown else _sorted(pattern)
        console.next_step(what_next(context, Known(results=look)))


def _sorted(pattern: str | None) -> str:
    """Return the command that sorts the same runs."""
    return f"lab runs --compare{f' {shlex.quote(pattern)}' if pattern else ''} --by max:METRIC"


def bring_records(context: Context, alias: str | None) -> None:
    """Fetch the records and metrics of all runs; name machines that do not answer."""
    for machine in machines_with_runs(context, alias):
        try:
            fetch_outputs(machine, context.project.outputs, choice=Choice(files=FILES))
        except LabError as error:
            context.console.warn(
                f"New runs on {machine.alias} are missing from this list: {error.message}"
            )


def _show(context: Context, comparison: Comparison, *, show_all: bool) -> None:
    """Print the table, and what it leaves out."""
    console, records = context.console, comparison.records
    shown = records if show_all else records[:_SHOWN] if comparison.goal else records[-_SHOWN:]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines, left = _fitting(comparison, shown, width)
    for line in lines:
        console.say(line)
    if len(shown) < len(records):
        which = "best" if comparison.goal else "last"
        console.say(f"The {which} {_SHOWN} of {len(records)}; all of them: --all")
    if not comparison.parameters and len(records) > 1:
        console.say("These runs have the same parameters.")
    if comparison.goal is not None:
        console.say(f"* is the best by {comparison.goal}.")
        if comparison.unranked:
            others = counted(comparison.unranked, "run")
            console.say(f"Last, without a finite {comparison.goal.metric}: {others}.")
    if left > 0:
        more = "1 more column is" if left == 1 else f"{left} more columns are"
        console.say(f"{more} in --csv and --json.")
    if comparison.commits > 1:
        console.note(f"These runs used {comparison.commits} different commits: lab show RUN")


def _fitting(
    comparison: Comparison, shown: Sequence[Record], width: int | None
) -> tuple[list[str], int]:
    """Return the lines of the widest table that fits, and how many columns it lacks.

    Metrics go first, from the right, down to one; then parameters. None as width is no limit.
    """
    names, metrics = comparison.parameters, comparison.metrics[:_COLUMNS]
    lines = _table(comparison, shown, names, metrics)
    while width is not None and max(map(len, lines)) > width and (names or len(metrics) > 1):
        names, metrics = (names, metrics[:-1]) if len(metrics) > 1 else (names[:-1], metrics)
        lines = _table(comparison, shown, names, metrics)
    left = len(comparison.parameters) - len(names) + len(comparison.metrics) - len(metrics)
    return lines, left


def _table(
    comparison: Comparison, shown: Sequence[Record], names: Sequence[str], metrics: Sequence[str]
) -> list[str]:
    several = len({record.lab for record in comparison.records}) > 1
    heading = ["RUN", *(["LAB"] if several else []), *names, *metrics]
    rows = [[_cell(word) for word in heading]]
    for record in shown:
        metric_cells = [
            "" if (value := record.metrics.get(name)) is None else rounded(value)
            for name in metrics
        ]
        parameters = [record.known.values.get(name, "") for name in names]
        cells = [record.id, *([record.lab] if several else []), *parameters, *metric_cells]
        rows.append([_cell(word) for word in cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    marks = ["", *(_BEST if one.name in comparison.best else "" for one in shown)]
    numbers = len(heading) - len(metrics)
    lines = []
    for mark, row in zip(marks, rows, strict=True):
        cells = [
            cell.rjust(width) if place >= numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        before = mark.ljust(len(_BEST)) if comparison.goal is not None else ""
        lines.append(f"{before}{'  '.join(cells)}".rstrip())
    return lines


def _cell(text: str) -> str:
    short = in_one_line(text)
    return short if len(short) <= _WIDEST else f"{short[: _WIDEST - 3]}..."


def _csv(comparison: Comparison) -> str:
    """Return all parameters and metrics as CSV, which spreadsheets open."""
    names, metrics = comparison.all_parameters, comparison.metrics
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    own = ["run", "lab", "started", "seconds", "exit_code", "commit"]
    writer.writerow([*own, *map(_harmless, names), *map(_harmless, metrics)])
    for record in comparison.records:
        started = "" if record.started is None else record.started.isoformat(timespec="seconds")
        values = [record.known.values.get(name, "") for name in names]
        numbers = [record.metrics.get(name, "") for name in metrics]
        facts = [record.id, record.lab, started, record.seconds, record.exit_code, record.commit]
        writer.writerow([*facts, *map(_harmless, values), *numbers])
    return file.getvalue()


def _harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula; a number stays one."""
    try:
        float(text)
    except ValueError:
        return in_one_line(f"'{text}" if text[:1] in ("=", "+", "-", "@") else text)
    return text


def _document(comparison: Comparison) -> dict[str, object]:
    return {
        "by": None if comparison.goal is None else str(comparison.goal),
        "differing": comparison.parameters,
        "metrics": comparison.metrics,
        "runs": [
            {
                "id": record.id,
                "lab": record.lab,
                "sweep": record.sweep or None,
                "commit": record.commit or None,
                "started": None if record.started is None else record.started.isoformat(),
                "seconds": record.seconds,
                "exit_code": record.exit_code,
                "parameters": dict(record.known.values),
                "metrics": {
                    name: value if math.isfinite(value) else None
                    for name, value in record.metrics.items()
                },
                "is_best": record.name in comparison.best,
            }
            for record in comparison.records
        ],
    }
