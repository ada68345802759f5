"""Slurm's states and errors, explained in sentences."""

from __future__ import annotations

import re

from ..answers import VERSION, is_a
from ..errors import LabError
from ..scripts import ExitCode, Explanations
from .job import SlurmJob

__all__ = [
    "ending",
    "never_starts",
    "no_slurm",
    "refusal",
    "remedy",
    "submission_errors",
    "waiting",
]

_ENDINGS = {
    "BOOT_FAIL": "the node could not be started",
    "CANCELLED": "it was cancelled, by you or the cluster's administrators",
    "DEADLINE": "it could not finish before its deadline",
    "GONE": "Slurm no longer knows it, and how it ended was not recorded",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "it used more memory than it had asked for",
    "PREEMPTED": "it had to make room for another job",
    "REVOKED": "another cluster took it",
    "TIMEOUT": "it reached its time limit",
}
_REMEDIES = {
    "OUT_OF_MEMORY": 'Ask for more memory in lab.toml: [slurm] options = ["--mem=32G"]',
    "TIMEOUT": 'Ask for more time in lab.toml: [slurm] time = "08:00:00"',
}
_REASONS = (
    (r"Priority", "other jobs are ahead of it"),
    (r"Resources", "it is waiting until enough of the cluster is free"),
    (r"Dependency.*", "it is waiting for another job"),
    (r"PartitionTimeLimit", "it asks for more time than the partition allows: time in lab.toml"),
    (r"PartitionNodeLimit", "it asks for more nodes than the partition allows: nodes in lab.toml"),
    (r"PartitionConfig", "the partition cannot provide what it asks for: [slurm] in lab.toml"),
    (r"PartitionDown|PartitionInactive", "the partition is closed: partition in lab.toml"),
    (r"BadConstraints", "no node can provide what it asks for: [slurm] in lab.toml"),
    (r"Invalid(Account|QOS)|(Account|QOS)NotAllowed", "its account or QOS cannot be used here"),
    (r"DependencyNeverSatisfied", "the job it was waiting for failed"),
    (r"ReservationDeleted", "its reservation was deleted"),
    (r"(QOS|Assoc)Grp((?!Run).)*Minutes.*|(QOS|Assoc)GrpWall.*", "your account has no time left"),
    (r"(QOS|Assoc)Max.*Per(Job|Node).*", "it asks for more than one of your jobs may use"),
    (r"QOSMin.*", "it asks for less than the minimum there"),
    (r"MaxMemPerLimit", "it asks for more memory than the partition allows"),
    (r"JobHeld.*", "it is held back; whoever runs the cluster can say why"),
    (r"(QOS|Assoc).*", "it would exceed what you or your account may use at once"),
    (r"ReqNodeNotAvail.*|Nodes required.*|NodeDown", "the nodes for it are down or reserved"),
)
# What waiting does not fix: what has to be changed. A limit on all jobs together is none of these.
_NEVER = (
    (r"PartitionTimeLimit|(QOS|Assoc)Max(Wall|.*Minutes).*PerJob.*", "less time"),
    (r"PartitionNodeLimit|PartitionConfig", "another partition"),
    (r"Invalid(Account|QOS)|(Account|QOS)NotAllowed", "another account or QOS"),
    (r"(QOS|Assoc)Grp((?!Run).)*Minutes.*|(QOS|Assoc)GrpWall.*", "another account"),
    (r"DependencyNeverSatisfied|ReservationDeleted", "other options"),
    (r"BadConstraints", "what a node of the partition has"),
    (r"(QOS|Assoc)Max.*Per(Job|Node).*|MaxMemPerLimit", "less"),
    (r"QOSMin.*", "more"),
)
_REFUSALS = (
    (r"account|qos", 'Name yours in lab.toml: [slurm] options = ["--account=..."]'),
    (r"partition", "Change partition in [slurm] of lab.toml"),
    (r"gres|generic resource|gpu|TRES", "Change gpus in [slurm] of lab.toml"),
    (r"time", "Change time in [slurm] of lab.toml"),
    (r"option", "Change options in [slurm] of lab.toml; see sbatch --help on the machine"),
    (r"node", "Change nodes or partition in [slurm] of lab.toml"),
)
_NO_CHECKPOINT = "NoNewCheckpoint"  # our own word, of until-done.sh
_FAILED = "Batch job submission failed: "  # what it says last, or at all


def ending(job: SlurmJob) -> str:
    """Return why a job ended early, as a part of a sentence; empty when its command failed."""
    if job.reason == _NO_CHECKPOINT:
        return (
            "its time limit was near, and it had made no new checkpoint since it was last requeued"
        )
    return _ENDINGS.get(job.state, "")


def remedy(job: SlurmJob) -> str | None:
    """Return what to do about such an end, where that can be said."""
    if job.reason == _NO_CHECKPOINT:
        return "Write checkpoint.pt to LAB_OUTPUT_DIR more often, or ask for more time"
    return _REMEDIES.get(job.state)


def waiting(job: SlurmJob) -> str:
    """Return why a job waits in the queue, in words, with Slurm's own in brackets."""
    if job.reason == "BeginTime":
        sooner = f"to start it sooner: scontrol update jobid={job.id} starttime=now"
        return f"Slurm starts a job again after about two minutes, {sooner} ({job.reason})"
    for pattern, words in _REASONS:
        if re.fullmatch(pattern, job.reason):
            return f"{words} ({job.reason})"
    return job.reason


def never_starts(job: SlurmJob) -> str:
    """Return what to ask for instead where a job waits for what never comes; else nothing."""
    return next((what for pattern, what in _NEVER if re.fullmatch(pattern, job.reason)), "")


def submission_errors(alias: str) -> Explanations:
    """Return what makes errors of the exit codes of the scripts that submit a job."""
    return {
        ExitCode.NO_SLURM: lambda _: no_slurm(alias),
        ExitCode.REFUSED: lambda said: refusal(alias, said),
        ExitCode.NO_ANSWER: lambda _: LabError(
            f"Slurm on {alias} does not answer, so no job was started.",
            hint=f"Try again later. To see if Slurm answers, on {alias}: scontrol ping",
        ),
    }


def no_slurm(alias: str) -> LabError:
    """Return the error for a machine that has no Slurm."""
    return LabError(
        f"There is no Slurm on {alias}: sbatch is not found.",
        hint="Run it directly: lab run, without --slurm",
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
        hint += f"; partitions: {', '.join(partitions)}"
    return LabError(f"Slurm on {alias} rejected the run: {reason}.", hint=hint)
