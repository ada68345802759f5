"""What to ask Slurm for: the optional table [slurm] in `lab.toml`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any

from .errors import ConfigurationError
from .tables import Tables

__all__ = ["SlurmOptions", "read_options"]

_KEYS = ("partition", "time", "gpus", "nodes", "options")
_TIME = re.compile(r"\d+(:[0-5]?\d){0,2}|\d+-\d{1,2}(:[0-5]?\d){0,2}")
_OURS = (
    "array", "chdir", "error", "input", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output",
    "parsable", "partition", "time", "wait", "wrap",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """What a run asks Slurm for. What is None is left to the cluster."""

    partition: str | None = None
    time: str | None = None
    """How long it may take, as Slurm writes it: "30" minutes, "04:00:00" or "1-12"."""
    gpus: int = 0
    """On each node; a process for each."""
    nodes: int = 1
    options: tuple[str, ...] = ()
    """Further options of sbatch, such as "--account=physics"."""
    ignored: tuple[str, ...] = ()
    """A sentence for each key that is not known: of a newer `lab`, or mistyped."""

    def lines(self, *, name: str) -> str:
        """Return the lines of the batch script that tell sbatch; `name` is what squeue shows."""
        words = [f"--job-name={name}", f"--nodes={self.nodes}", "--ntasks-per-node=1", "--requeue"]
        if self.partition is not None:
            words.append(f"--partition={self.partition}")
        if self.time is not None:
            words.append(f"--time={self.time}")
        if self.gpus:
            words.append(f"--gpus-per-node={self.gpus}")
        return "\n".join(f"#SBATCH {shlex.quote(word)}" for word in (*words, *self.options))

    def __str__(self) -> str:
        nodes = "1 node" if self.nodes == 1 else f"{self.nodes} nodes"
        gpus = {0: "no GPU", 1: "1 GPU"}.get(self.gpus, f"{self.gpus} GPUs")
        parts = [nodes, f"{gpus} on each" if self.gpus and self.nodes > 1 else gpus]
        parts.append(f"partition {self.partition}" if self.partition else "the usual partition")
        parts.append(f"at most {self.time}" if self.time else "the usual time limit")
        return ", ".join((*parts, *self.options))


def read_options(tables: Tables) -> SlurmOptions:
    """Return the table [slurm] of `tables`, or the defaults where there is none.

    Raises ConfigurationError, naming the file and the key.
    """
    values: dict[str, Any] = dict(tables.table("slurm"))
    ignored = tuple(
        f"{tables.source('slurm', key)}: [slurm] has no key {key!r}, so it is ignored. "
        f"The keys are {', '.join(_KEYS)}."
        for key in values
        if key not in _KEYS
    )
    values = {key: value for key, value in values.items() if key in _KEYS}
    for key, value in values.items():
        allowed = _allowed(key, value)
        if allowed:
            path = tables.source("slurm", key)
            raise ConfigurationError(f"{path}: {key} in [slurm] is {value!r}; {allowed}")
    values["options"] = tuple(values.get("options", ()))
    return SlurmOptions(**values, ignored=ignored)


def _allowed(key: str, value: object) -> str:
    """Return what a value must be when it is not; else nothing."""
    match key:
        case "partition":
            if not isinstance(value, str) or not re.fullmatch(r"[\w.,+-]+", value):
                return "it must be the name of a partition in quotes; sinfo lists them."
        case "time":
            if not isinstance(value, str) or not _TIME.fullmatch(value):
                return 'it must be a time: "30" (minutes), "04:00:00" or "1-12:00:00" (days).'
        case "gpus":
            if type(value) is not int or value < 0:
                return "it must be the number of GPUs on each node, 0 or more."
        case "nodes":
            if type(value) is not int or value < 1:
                return "it must be the number of nodes, 1 or more."
        case "options":
            if not isinstance(value, list) or not all(map(_is_option, value)):
                return 'it must be a list of long options of sbatch, such as ["--mem=16G"].'
            ours = [word for word in value if word.removeprefix("--").partition("=")[0] in _OURS]
            if ours:
                return f"lab sets {', '.join(ours)} itself, or [slurm] has a key for it."
    return ""


def _is_option(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and bool(re.match(r"--[a-z]", value))
