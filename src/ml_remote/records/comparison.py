"""Comparing runs: the parameters that differ, the metrics, and which run is the best by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property

from ..errors import UsageError
from ..far.login.metrics import differing
from ..ui.text import in_one_line
from .reading import Record

__all__ = ["Comparison", "Goal", "chosen", "parse_goal", "rounded"]

_NAMED = 10  # metrics in a message


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The metric by which a run is the best, and whether its largest or smallest value counts."""

    metric: str
    is_largest: bool

    def __str__(self) -> str:
        return f"{'max' if self.is_largest else 'min'}:{self.metric}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs side by side, the best first if there is a goal."""

    records: Sequence[Record]
    goal: Goal | None

    @classmethod
    def of(cls, records: Sequence[Record], goal: Goal | None) -> Comparison:
        """Return the comparison of these runs. Raises UsageError when none has the goal's metric.

        Runs that do not have it, or for which it is no number, come last.
        """
        if goal is None:
            return cls(records=records, goal=None)
        value = _values(records, goal)
        sign = -1 if goal.is_largest else 1
        ordered = sorted(
            records,
            key=lambda one: (one.name not in value, sign * value.get(one.name, 0.0)),
        )
        return cls(records=ordered, goal=goal)

    @cached_property
    def parameters(self) -> list[str]:
        """The names of the parameters that differ."""
        return differing([record.known for record in self.records])

    @cached_property
    def all_parameters(self) -> list[str]:
        """The names of all parameters."""
        return list(dict.fromkeys(name for one in self.records for name in one.known.values))

    @cached_property
    def metrics(self) -> list[str]:
        """The names of the metrics: the goal's first, then those that most runs have."""
        count: dict[str, int] = {}
        for record in self.records:
            for name in record.metrics:
                count[name] = count.get(name, 0) + 1
        names = sorted(count, key=lambda name: -count[name])
        first = [] if self.goal is None else [self.goal.metric]
        return [*first, *(name for name in names if name not in first)]

    @cached_property
    def best(self) -> frozenset[str]:
        """The names of the best runs, which are more than one when they are equal."""
        if self.goal is None:
            return frozenset()
        value = _values(self.records, self.goal)
        top = (max if self.goal.is_largest else min)(value.values())
        return frozenset(name for name, own in value.items() if own == top)

    @cached_property
    def unranked(self) -> int:
        """The number of runs that have no number for the goal; infinity and NaN are none."""
        return 0 if self.goal is None else len(self.records) - len(_values(self.records, self.goal))

    def first(self, count: int) -> Sequence[Record]:
        """Return the best runs, at most so many: one without a number for the goal is not one."""
        value = {} if self.goal is None else _values(self.records, self.goal)
        return self.records[: min(count, len(value))]

    @property
    def commits(self) -> int:
        """The number of different commits of the runs, as far as that is known."""
        return len({record.commit for record in self.records if record.commit})


def parse_goal(text: str | None) -> Goal | None:
    """Return what `max:METRIC` or `min:METRIC` means. Raises UsageError."""
    if text is None:
        return None
    how, colon, metric = text.partition(":")
    if how not in ("max", "min") or not colon or not metric:
        raise UsageError(
            f"{text!r} is not a goal.",
            hint="Give a metric and its direction: --by max:accuracy, or: --by min:loss",
        )
    return Goal(metric=metric, is_largest=how == "max")


def chosen(records: Sequence[Record], pattern: str | None) -> list[Record]:
    """Return the runs that a pattern means: a part of `<lab>/<run id>`, or one with * and ?.

    The id of a sweep means its runs.
    """
    if not pattern:
        return list(records)
    text = pattern.removeprefix("outputs/").strip("/")
    if any(sign in text for sign in "*?["):
        return [
            one
            for one in records
            if any(fnmatchcase(own, text) for own in (one.name, one.id, one.lab))
        ]
    return [one for one in records if text in one.name or (one.sweep and text in one.sweep)]


def rounded(value: float) -> str:
    """Return a number in four digits, as a table shows it."""
    if value.is_integer() and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.4g}"


def _values(records: Sequence[Record], goal: Goal) -> Mapping[str, float]:
    """Return the values of a goal's metric, by the names of the runs. Raises UsageError."""
    names = {name: None for record in records for name in record.metrics}
    if goal.metric not in names:
        known = ", ".join(map(in_one_line, list(names)[:_NAMED])) or "none"
        close = get_close_matches(goal.metric, names, n=1)
        how = str(goal).partition(":")[0]
        meant = f"{how}:{close[0]}" if close and close[0].isidentifier() else ""
        raise UsageError(
            f"No run has a metric {goal.metric!r}. There are: {known}.",
            hint=f"Did you mean --by {meant}?" if meant else None,
        )
    found = {
        record.name: value
        for record in records
        if (value := record.metrics.get(goal.metric)) is not None and math.isfinite(value)
    }
    if not found:
        raise UsageError(f"No run has a number for {goal.metric!r}: all are NaN or infinite.")
    return found
