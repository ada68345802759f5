"""What Slurm says, in sentences."""

from __future__ import annotations

import re

from ..answers import VERSION, is_a
from ..errors import LabError
from ..jobs.job import SlurmJob

__all__ = ["ending", "no_slurm", "refusal", "remedy", "waiting"]

_ENDINGS = {
    "BOOT_FAIL": "the node could not be started",
    "CANCELLED": "it was cancelled, by you or by whoever runs the cluster",
    "DEADLINE": "it could not end before its deadline",
    "GONE": "Slurm does not know it any more, and how it ended was not noted",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "it needed more memory than it had asked for",
    "PREEMPTED": "it had to make room for another job",
    "REVOKED": "another cluster took it",
    "TIMEOUT": "it reached its time limit",
}
_REMEDIES = {
    "OUT_OF_MEMORY": 'Ask for more memory in lab.toml: [slurm] options = ["--mem=32G"]',
    "TIMEOUT": 'Ask for more time in lab.toml: [slurm] time = "08:00:00"',
}
_REASONS = (
    (r"Priority", "other jobs come first"),
    (r"Resources", "it waits until enough of the cluster is free"),
    (r"BeginTime", "it may not begin yet; Slurm starts a job again after some minutes"),
    (r"Dependency.*", "it waits for another job"),
    (r"PartitionTimeLimit", "it asks for more time than the partition allows: time in lab.toml"),
    (r"PartitionNodeLimit", "it asks for more nodes than the partition allows: nodes in lab.toml"),
    (r"PartitionConfig", "the partition does not have what it asks for: [slurm] in lab.toml"),
    (r"PartitionDown|PartitionInactive", "the partition is closed: partition in lab.toml"),
    (r"JobHeld.*", "it is held back; whoever runs the cluster can say why"),
    (r"(QOS|Assoc).*", "it would exceed what you, or your account, may use at a time"),
    (r"ReqNodeNotAvail.*|Nodes required.*|NodeDown", "the nodes for it are down or reserved"),
)
_REFUSALS = (
    (r"account|qos", 'Name yours in lab.toml: [slurm] options = ["--account=..."]'),
    (r"partition", "Change partition in [slurm] of lab.toml"),
    (r"gres|generic resource|gpu|TRES", "Change gpus in [slurm] of lab.toml"),
    (r"time", "Change time in [slurm] of lab.toml"),
    (r"option", "Change options in [slurm] of lab.toml; there: sbatch --help"),
    (r"node", "Change nodes or partition in [slurm] of lab.toml"),
)
_FAILED = "Batch job submission failed: "  # what it says last, or at all


def ending(job: SlurmJob) -> str:
    """Return why a job ended early, as a part of a sentence; empty when its command failed."""
    return _ENDINGS.get(job.state, "")


def remedy(job: SlurmJob) -> str | None:
    """Return what to do about such an end, where that can be said."""
    return _REMEDIES.get(job.state)


def waiting(job: SlurmJob) -> str:
    """Return why a job waits in the queue, in words, with Slurm's own in brackets."""
    for pattern, words in _REASONS:
        if re.fullmatch(pattern, job.reason):
            return f"{words} ({job.reason})"
    return job.reason


def no_slurm(alias: str) -> LabError:
    """Return the error for a machine that has no Slurm."""
    return LabError(
        f"There is no Slurm on {alias}: sbatch is not found.",
        hint="Run it there directly: lab run, without --slurm",
    )


def refusal(alias: str, said: str) -> LabError:
    """Return the error for a job that sbatch does not take, from what it and sinfo said."""
    *lines, last = said.splitlines() or [""]
    partitions = [name for name in last.removeprefix("partitions").split() if is_a(VERSION, name)]
    complaints = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in lines]
    specific = [line for line in complaints if not line.startswith(("Try ", _FAILED))]
    reason = "; ".join(line.removeprefix(_FAILED).rstrip(".") for line in specific or complaints)
    hints = [what for pattern, what in _REFUSALS if re.search(pattern, reason, re.IGNORECASE)]
    hint = hints[0] if hints else "Change [slurm] in lab.toml"
    if partitions and "partition" in hint:
        hint += f"; there are {', '.join(partitions)}"
    return LabError(f"Slurm on {alias} does not take the run: {reason}.", hint=hint)
