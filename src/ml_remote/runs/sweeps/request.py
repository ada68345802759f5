"""What the options of `lab run` ask for in a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import UsageError
from ...jobs.about import is_goal
from ...ssh.address import alias_fault
from .expanding import (
    Axis,
    ParameterSet,
    check_samples,
    check_size,
    count_combinations,
    expand,
    read_axes,
)

__all__ = ["SweepRequest", "read_request", "read_spread"]

_MOST_AT_ONCE = 1000
_PROPOSED = 20  # sets, where nobody says how many
_EXAMPLE = "--spread gpu1,gpu2"


class SweepRequest(NamedTuple):
    """What `lab run` was asked for about a sweep."""

    axes: Sequence[Axis] = ()
    sets: Sequence[ParameterSet] = ()
    """All sets; none where they are proposed one by one."""
    at_once: int | None = None
    samples: int | None = None
    """How many sets are to be drawn or proposed."""
    seed: int = 0
    optimize: str = ""
    """What they are proposed for: `max:METRIC` or `min:METRIC`."""
    spread: Sequence[str] = ()
    """The aliases of the machines among which they are divided."""

    @property
    def wanted(self) -> int:
        """How many sets there are to be."""
        return (self.samples or 0) if self.optimize else len(self.sets)


def read_request(options: Mapping[str, Any]) -> SweepRequest:
    """Return what the options ask for. Raises UsageError for what is no sweep."""
    at_once, samples, seed = options["at_once"], options["samples"], options["sample_seed"] or 0
    if at_once is not None and not 0 < at_once <= _MOST_AT_ONCE:
        raise UsageError(f"--at-once is {at_once}; it must be between 1 and {_MOST_AT_ONCE:,}.")
    axes, goal = read_axes(options["sweep"]), options["optimize"] or ""
    asked = SweepRequest(axes, (), at_once, samples, seed, goal, read_spread(options["spread"]))
    if not axes:
        if samples is not None:
            check_samples(axes, samples)
        return asked
    if not goal:
        sets = expand(axes, samples=samples, seed=seed)
        check_size(sets)
        return asked._replace(sets=sets)
    if not is_goal(goal):
        raise UsageError(
            f"--optimize {goal!r} does not say what is best.",
            hint="Give a metric and its direction: --optimize max:accuracy, or: min:loss. "
            "A metric's name has letters, digits and ./_@+-",
        )
    if samples is None:
        combinations = count_combinations(axes)
        samples = _PROPOSED if combinations is None else min(_PROPOSED, combinations)
    check_samples(axes, samples)
    return asked._replace(samples=samples)


def read_spread(text: str | None) -> Sequence[str]:
    """Return the machines of `a,b`. Raises UsageError for what is none, or is there twice."""
    if text is None:
        return ()
    aliases = [alias.strip() for alias in text.split(",")]
    for number, alias in enumerate(aliases):
        if alias_fault(alias) is not None:
            raise UsageError(
                f"--spread: {alias!r} is not an SSH alias.", hint=f"For example: {_EXAMPLE}"
            )
        if alias in aliases[:number]:
            raise UsageError(f"--spread has {alias} twice.")
    return aliases
