"""Which options of `lab run` and `lab runs` cannot be combined, or say nothing alone: one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import UsageError
from .launchers import LAUNCHERS, given_options

__all__ = [
    "ALONE",
    "NEEDED",
    "PAIRS",
    "RUNS_PAIRS",
    "STOP_PAIRS",
    "refuse",
    "refuse_runs",
    "refuse_stop",
    "written",
]

_ON_HOSTS = ("hosts", "nproc_per_node")


def _launcher_pairs() -> Iterator[tuple[str, str]]:
    """Yield the options that ask for different launchers."""
    launchers = list(LAUNCHERS.values())
    for number, one in enumerate(launchers):
        for other in launchers[number + 1 :]:
            yield from ((first, second) for first in one.asked_by for second in other.asked_by)


PAIRS: tuple[tuple[str, str], ...] = (
    *_launcher_pairs(),
    ("lab", "command"),
    *(("command", name) for name in ("parameters", "local", *_ON_HOSTS)),
    *((name, "local") for name in (
        "resume", "detach", "again", "alias", "first_free", "push", "push_dirty", "notify",
        "variables", "env_file",
    )),
    *((one.name or "", "local") for each in LAUNCHERS.values() for one in each.options),
    ("hosts", "alias"),
    ("first_free", "alias"),
    *(("first_free", name) for name in (*_ON_HOSTS, "slurm")),
    ("push", "push_dirty"),
    *((name, other) for name in ("push", "push_dirty") for other in _ON_HOSTS),
    ("detach", "notify"),
)  # fmt: skip
"""Options, by the names of their parameters, that cannot be combined."""
NEEDED: Mapping[str, tuple[str, ...]] = {
    "name": ("command",),
    "tty": ("command",),
    **{
        one.name or "": tuple(each.asked_by)
        for each in LAUNCHERS.values()
        for one in each.options
        if one.name not in each.asked_by
    },
}
"""Options that say more about one of the others."""
ALONE = {"lab": "LAB", "command": "-- COMMAND", "parameters": "--parameter", "variables": "--env"}
"""How what is not written as its parameter is named."""
RUNS_PAIRS: tuple[tuple[str, str], ...] = (
    ("wait", "remove"),
    ("wait", "json"),
    ("wait", "all"),
    ("remove", "json"),
    ("remove", "all"),
    ("run", "remove"),
    ("run", "all"),
)
"""The same for `lab runs`."""
STOP_PAIRS: tuple[tuple[str, str], ...] = (
    ("run", "kernel"),
    ("all", "kernel"),
    ("forget", "kernel"),
)
"""The same for `lab stop`."""
_RUN = "RUN"


def refuse(given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of `lab run` that mean nothing together."""
    there = given_options({name: value for name, value in given.items() if value not in ((), "")})
    _refuse_pairs(there, PAIRS)
    for name, others in NEEDED.items():
        if name in there and not there.intersection(others):
            needed = " or ".join(map(written, others))
            raise UsageError(f"{written(name)} can only be used with {needed}.")
    if not there.intersection(("lab", "command")):
        raise UsageError(
            "There is nothing to run.",
            hint="lab run LAB for a lab, lab run -- COMMAND for a program",
        )


def refuse_runs(given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of `lab runs` that mean nothing together."""
    _refuse_pairs({name for name, value in given.items() if value}, RUNS_PAIRS)


def refuse_stop(given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of `lab stop` that mean nothing together."""
    _refuse_pairs({name for name, value in given.items() if value not in (None, False)}, STOP_PAIRS)


def written(name: str) -> str:
    """Return an option as it is written on the command line."""
    return _RUN if name == "run" else ALONE.get(name, f"--{name.replace('_', '-')}")


def _refuse_pairs(there: set[str], pairs: tuple[tuple[str, str], ...]) -> None:
    for one, other in pairs:
        if one in there and other in there:
            raise UsageError(f"{written(one)} and {written(other)} cannot be combined.")
