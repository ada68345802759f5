"""What to ask Slurm for: the optional table [slurm] in `lab.toml`."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ConfigurationError
from .tables import Tables

__all__ = ["Request", "SlurmOptions", "allowed", "read_options", "seconds_of"]

_KEYS = ("partition", "time", "gpus", "nodes", "options", "prepare")
_LONGEST_WARNING, _SHORTEST_WARNING = 120, 10
"""Seconds; Slurm sends a signal up to half a minute earlier than it is asked to."""
_NUMBER = "[0-9]{1,8}"
_TIME = re.compile(rf"(?i:infinite|unlimited)|(?:{_NUMBER}-)?{_NUMBER}(?::{_NUMBER}){{0,2}}")
"""What sbatch takes: minutes[:seconds], hours:minutes:seconds, days-hours[:minutes[:seconds]]."""
_OURS = (
    "array", "chdir", "error", "input", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output",
    "parsable", "partition", "time", "wait", "wrap",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options that every job asks Slurm with. None leaves one to the cluster."""

    partition: str | None = None
    time: str | None = None
    """How long it may take, as Slurm writes it: "30" minutes, "04:00:00", "1-12", "unlimited"."""
    gpus: int = 0
    """On each node; a process for each."""
    options: tuple[str, ...] = ()
    """Further options of sbatch, such as "--account=physics"."""
    ignored: tuple[str, ...] = ()
    """A sentence for each key that is not known: of a newer `lab`, or mistyped."""

    def _lines(self, words: Sequence[str]) -> str:
        """Return the lines of a batch script that tell sbatch these words and the request."""
        asked = [] if self.partition is None else [f"--partition={self.partition}"]
        asked += [] if self.time is None else [f"--time={self.time}"]
        asked += [f"--gpus-per-node={self.gpus}"] if self.gpus else []
        return "\n".join(f"#SBATCH {shlex.quote(one)}" for one in (*words, *asked, *self.options))

    def _cards(self) -> str:
        return {0: "no GPU", 1: "1 GPU"}.get(self.gpus, f"{self.gpus} GPUs")

    def __str__(self) -> str:
        parts = [self._cards()]
        parts.append(f"partition {self.partition}" if self.partition else "the usual partition")
        if self.time and seconds_of(self.time) == math.inf:
            parts.append("no time limit")
        else:
            parts.append(f"at most {self.time}" if self.time else "the usual time limit")
        return ", ".join((*parts, *self.options))


@dataclass(frozen=True, kw_only=True)
class SlurmOptions(Request):
    """The options with which a run asks Slurm."""

    nodes: int = 1
    prepare: tuple[str, ...] = ()
    """Lines of bash, such as "module load cuda/12", that a login shell runs before each job."""

    def lines(self, *, name: str, until_done: bool = False) -> str:
        """Return the lines of the batch script that tell sbatch; `name` is what squeue shows.

        With `until_done` the batch script gets a signal before the time limit.
        """
        words = [f"--job-name={name}", f"--nodes={self.nodes}", "--ntasks-per-node=1", "--requeue"]
        if until_done:
            words.append(f"--signal=B:USR1@{self._warning}")
        return self._lines(words)

    @property
    def _warning(self) -> int:
        """How many seconds before the time limit the signal is to come."""
        if self.time is None:
            return _LONGEST_WARNING
        return max(_SHORTEST_WARNING, int(min(_LONGEST_WARNING, seconds_of(self.time) / 10)))

    def _cards(self) -> str:
        return f"{super()._cards()} on each" if self.gpus and self.nodes > 1 else super()._cards()

    def __str__(self) -> str:
        nodes = "1 node" if self.nodes == 1 else f"{self.nodes} nodes"
        return f"{nodes}, {super().__str__()}"


def seconds_of(time: str) -> float:
    """Return how long a time is that Slurm is asked for: the forms that `_TIME` allows.

    Raises ValueError for any other.
    """
    if time.lower() in ("infinite", "unlimited"):
        return math.inf
    days, _, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if days:  # days-hours[:minutes[:seconds]]
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:  # minutes[:seconds]
        hours, minutes, seconds = 0, parts[0], (*parts, 0)[1]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def read_options(tables: Tables) -> SlurmOptions:
    """Return the table [slurm] of `tables`, or the defaults where there is none.

    Raises ConfigurationError, naming the file and the key.
    """
    values: dict[str, Any] = dict(tables.table("slurm"))
    ignored = tuple(
        f"{tables.source('slurm', key)}: [slurm] has no key {key!r}, so it is ignored. "
        f"The keys are {', '.join(_KEYS)}."
        for key in values
        if key not in (*_KEYS, "node")
    )
    values = {key: value for key, value in values.items() if key in _KEYS}
    for key, value in values.items():
        fault = allowed(key, value)
        if fault:
            path = tables.source("slurm", key)
            raise ConfigurationError(f"{path}: {key} in [slurm] is {value!r}; {fault}")
    for key in ("options", "prepare"):
        values[key] = tuple(values.get(key, ()))
    return SlurmOptions(**values, ignored=ignored)


def allowed(key: str, value: object) -> str:
    """Return what a value must be when it is not; else nothing."""
    match key:
        case "partition":
            if not isinstance(value, str) or not re.fullmatch(r"[\w.,+-]+", value):
                return "it must be the name of a partition in quotes; sinfo lists them."
        case "time":
            if not isinstance(value, str) or not _TIME.fullmatch(value):
                return (
                    'it must be a time: "30" (minutes), "04:00:00", "1-12:00:00" (days) or '
                    '"unlimited".'
                )
        case "gpus":
            if type(value) is not int or value < 0:
                return "it must be the number of GPUs per node, 0 or more."
        case "nodes":
            if type(value) is not int or value < 1:
                return "it must be the number of nodes, 1 or more."
        case "options":
            if not isinstance(value, list) or not all(map(_is_option, value)):
                return 'it must be a list of long options of sbatch, such as ["--mem=16G"].'
            ours = [word for word in value if word.removeprefix("--").partition("=")[0] in _OURS]
            if ours:
                return f"lab sets {', '.join(ours)} itself, or [slurm] has a key for it."
        case "prepare":
            if not isinstance(value, list) or not all(map(_is_line, value)):
                return 'it must be a list of lines of bash, such as ["module load cuda/12"].'
    return ""


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value.strip() != ""


def _is_option(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and bool(re.match(r"--[a-z]", value))
