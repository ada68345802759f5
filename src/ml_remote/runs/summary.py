"""The summary after a run: its metrics, or the files that it saved if it has none."""

from __future__ import annotations

from pathlib import Path

from ..far.login.metrics import metrics_of
from ..far.login.record import DIFFERENCE, RECORD
from ..records.comparison import rounded
from ..ui.console import Console
from ..ui.text import in_one_line

__all__ = ["metric_lines", "show_results"]

_SHOWN = 12  # metrics
_NAMED = 5  # files
_OURS = (RECORD, DIFFERENCE)


def show_results(console: Console, results: Path) -> None:
    """Print where the results of a run are, and its metrics, or else its files."""
    console.say(f"Results: {results}")
    lines = metric_lines(metrics_of(results))
    for line in lines:
        console.say(f"  {line}")
    if lines:
        return
    names = [path.name for path in sorted(results.iterdir()) if path.name not in _OURS]
    for name in names[:_NAMED]:
        console.say(f"  {in_one_line(name)}")
    if len(names) > _NAMED:
        console.say(f"  and {len(names) - _NAMED} more")


def metric_lines(metrics: dict[str, float]) -> list[str]:
    """Return a line for each metric, and one that says how many more there are."""
    names = [in_one_line(name) for name in metrics][:_SHOWN]
    width = max(map(len, names), default=0)
    values = list(metrics.values())[:_SHOWN]
    lines = [
        f"{name.ljust(width)}  {rounded(value)}" for name, value in zip(names, values, strict=True)
    ]
    more = len(metrics) - len(lines)
    return [*lines, f"and {more} more"] if more else lines
