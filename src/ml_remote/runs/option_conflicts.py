"""The table of options of `lab run`, `runs` and `stop` that cannot be combined, or need another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import UsageError
from .launchers import LAUNCHERS, given_options

__all__ = [
    "ALONE",
    "NEEDED",
    "PAIRS",
    "RUNS_NEEDED",
    "RUNS_PAIRS",
    "STOP_PAIRS",
    "check_run_options",
    "check_runs_options",
    "check_stop_options",
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
    *(("repeat", name) for name in ("lab", "command", "resume", "local", "again")),
    *(("from_commit", name) for name in (*_ON_HOSTS, "push", "push_dirty")),
    *(("command", name) for name in ("parameters", "local", *_ON_HOSTS)),
    *((name, "local") for name in (
        "resume", "detach", "again", "alias", "first_free", "push", "push_dirty", "notify",
        "variables", "env_file", "gpus",
    )),
    *((one.name or "", "local") for each in LAUNCHERS.values() for one in each.options),
    ("hosts", "alias"),
    *(("node", name) for name in ("local", "first_free", "slurm", "spread", "hosts")),
    ("first_free", "alias"),
    *(("gpus", name) for name in _ON_HOSTS),
    *(("first_free", name) for name in (*_ON_HOSTS, "slurm")),
    ("push", "push_dirty"),
    *((name, other) for name in ("push", "push_dirty") for other in _ON_HOSTS),
    ("detach", "notify"),
    *(("until_done", name) for name in ("sweep", "at_once")),
    *(("sweep", name) for name in ("local", "repeat", "tty", "again", *_ON_HOSTS)),
    *(("at_once", name) for name in ("local", *_ON_HOSTS)),
    ("optimize", "resume"),
    *(("spread", name) for name in (
        "local", "alias", "first_free", "slurm", "optimize", *_ON_HOSTS,
    )),
)  # fmt: skip
"""Options, by the names of their parameters, that cannot be combined."""
NEEDED: Mapping[str, tuple[str, ...]] = {
    "name": ("command", "repeat"),
    "tty": ("command", "repeat"),
    "from_commit": ("repeat",),
    "samples": ("sweep", "resume"),
    "sample_seed": ("samples", "optimize"),
    "optimize": ("sweep",),
    "spread": ("sweep", "resume"),
    "at_once": ("sweep", "resume"),
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
    *(("compare", name) for name in ("wait", "remove")),
    ("csv", "json"),
)
"""The same for `lab runs`."""
RUNS_NEEDED: Mapping[str, tuple[str, ...]] = {
    "by": ("compare", "keep_best"),
    "csv": ("compare",),
    "plot": ("compare",),
    "keep_best": ("remove",),
}
"""Options of `lab runs` that say more about one of the others."""
STOP_PAIRS: tuple[tuple[str, str], ...] = (
    ("run", "kernel"),
    ("all", "kernel"),
    ("forget", "kernel"),
    ("alias", "local"),
)
"""The same for `lab stop`."""
_RUN = "RUN"


def check_run_options(given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of `lab run` that mean nothing together."""
    there = given_options({name: value for name, value in given.items() if value not in ((), "")})
    _refuse_pairs(there, PAIRS)
    _refuse_alone(there, NEEDED)
    if not there.intersection(("lab", "command", "resume", "repeat")):
        raise UsageError(
            "There is nothing to run.",
            hint="lab run LAB for a lab, lab run -- COMMAND for a program",
        )


def check_runs_options(given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of `lab runs` that mean nothing together."""
    there = {name for name, value in given.items() if value}
    _refuse_pairs(there, RUNS_PAIRS)
    _refuse_alone(there, RUNS_NEEDED)
    if "keep_best" in there and "by" not in there:
        raise UsageError("--keep-best needs --by.", hint="For example: --by max:accuracy")
    if "more" in there and "remove" not in there:
        raise UsageError("Only --remove takes more than one RUN.", hint="lab runs --help")
    if {"run", "all"} <= there and "compare" not in there:
        raise UsageError(f"{_RUN} and --all cannot be combined.")


def check_stop_options(given: Mapping[str, Any]) -> None:
    """Raise UsageError for options of `lab stop` that mean nothing together."""
    there = {name for name, value in given.items() if value not in (None, False)}
    _refuse_pairs(there, STOP_PAIRS)
    if "local" in there and "kernel" not in there:
        raise UsageError("--local can only be used with --kernel.")


def written(name: str) -> str:
    """Return an option as it is written on the command line."""
    return _RUN if name == "run" else ALONE.get(name, f"--{name.replace('_', '-')}")


def _refuse_alone(there: set[str], needed: Mapping[str, tuple[str, ...]]) -> None:
    for name, others in needed.items():
        if name in there and not there.intersection(others):
            words = " or ".join(map(written, others))
            raise UsageError(f"{written(name)} can only be used with {words}.")


def _refuse_pairs(there: set[str], pairs: tuple[tuple[str, str], ...]) -> None:
    for one, other in pairs:
        if one in there and other in there:
            raise UsageError(f"{written(one)} and {written(other)} cannot be combined.")
