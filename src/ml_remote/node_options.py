"""What `lab node` asks Slurm for: the optional table [slurm.node] in `lab.toml`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import ConfigurationError
from .slurm_options import Request, SlurmOptions, allowed
from .tables import Tables

__all__ = ["NODE_KEYS", "NodeOptions", "read_node_options"]

NODE_KEYS = ("time", "gpus", "idle_minutes", "partition", "options")
DEFAULT_IDLE_MINUTES = 30.0


@dataclass(frozen=True, kw_only=True)
class NodeOptions(Request):
    """The options with which a compute node is requested."""

    idle_minutes: float = DEFAULT_IDLE_MINUTES
    """After how many minutes without use the job ends; 0 means that only its time limit ends it."""

    def lines(self, *, name: str) -> str:
        """Return the lines of the batch script that tell sbatch; `name` is what squeue shows.

        A job that was ended to make room does not come back by itself: nobody waits for it.
        """
        words = [f"--job-name={name}", "--nodes=1", "--ntasks-per-node=1", "--no-requeue"]
        return self._lines(words)

    @property
    def names_partitions(self) -> bool:
        """Whether the job may run in any of several partitions."""
        return "," in (self.partition or "") or any(
            option.startswith(("-p", "--partition")) and "," in option for option in self.options
        )


def read_node_options(tables: Tables, runs: SlurmOptions) -> NodeOptions:
    """Return the table [slurm.node]; what it does not say is as for `runs`, the table [slurm].

    Raises ConfigurationError, naming the file and the key.
    """
    values = tables.table("slurm").get("node", {})
    path = tables.source("slurm", "node")
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{path}: node in [slurm] is {values!r}; it must be a table.")
    for key, value in values.items():
        fault = _fault(key, value)
        if fault:
            raise ConfigurationError(f"{path}: {key} in [slurm.node] is {value!r}; {fault}")
    return NodeOptions(
        partition=values.get("partition", runs.partition),
        time=values.get("time", runs.time),
        gpus=values.get("gpus", runs.gpus),
        options=tuple(values.get("options", runs.options)),
        idle_minutes=float(values.get("idle_minutes", DEFAULT_IDLE_MINUTES)),
        ignored=tuple(
            f"{path}: [slurm.node] has no key {key!r}, so it is ignored. "
            f"The keys are {', '.join(NODE_KEYS)}."
            for key in values
            if key not in NODE_KEYS
        ),
    )


def _fault(key: str, value: object) -> str:
    """Return what a value must be when it is not; else nothing."""
    if key == "idle_minutes":
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= float(str(value)) < math.inf:
            return (
                "it must be a number of minutes, such as 30; 0 means that an unused node never "
                "ends."
            )
        return ""
    return allowed(key, value) if key in NODE_KEYS else ""
