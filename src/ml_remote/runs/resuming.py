"""`lab run --resume`: going on from the last checkpoint of a run that did not come to its end.

The new run has a folder of its own, into which a copy of the checkpoint is laid; `fit()` finds it
there. Nothing of the earlier run is changed, so it can be gone on from more than once.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from ..errors import UsageError
from ..machine import Machine
from ..scripts import ask, script
from .job import Job
from .labs import Lab, hosts_of, output_folder

__all__ = ["CHECKPOINT", "resume_command", "resumed", "taking_checkpoint"]

CHECKPOINT = "checkpoint.pt"
"""Its name in the folder of a run."""
_OPTION = "--resume"


def resumed(lab: Lab, text: str | None, machines: Sequence[Machine]) -> Lab:
    """Return the lab that goes on from the run whose id is, or alone contains, `text`.

    None leaves the lab as it is. Raises UsageError when no checkpoint on any of the machines, or
    more than one, can be meant.
    """
    if text is None:
        return lab
    folder = output_folder(lab.title)
    known = sorted(
        {
            run
            for machine in machines
            for run in ask(machine, "checkpoints", folder).stdout.splitlines()
        }
    )
    found = [run for run in known if run == text] or [run for run in known if text in run]
    if len(found) == 1:
        return replace(lab, options=[*lab.options, _OPTION, found[0]])
    which = "No checkpoint" if not found else f"{len(found)} checkpoints"
    where = ", ".join(machine.alias for machine in machines)
    latest = ", ".join((found or known)[-3:]) or "none; one is written after every epoch"
    raise UsageError(
        f"{which} of {lab.path} on {where} can be meant by {text!r}. The latest: {latest}.",
        hint="lab runs --all",
    )


def taking_checkpoint(lab: Lab) -> str:
    """Return the line of shell that copies the checkpoint, where it is, into `LAB_OUTPUT_DIR`.

    A run that Slurm or torchrun starts again has one of its own by then, which is the newer one.
    """
    if _OPTION not in lab.options:
        return ""
    run = lab.options[lab.options.index(_OPTION) + 1]
    old = shlex.quote(f"outputs/{output_folder(lab.title)}/{run}/{CHECKPOINT}")
    return f"from={old}\n{script('take-checkpoint')}"


def resume_command(job: Job, *, alias: str | None = None) -> str:
    """Return the command that goes on from the last checkpoint of a run.

    `alias` is its machine, where that is not the one of `lab.toml`.
    """
    words = shlex.split(job.name)
    if _OPTION in words[-2:]:
        words = words[:-2]
    how = [] if job.slurm is None else ["--slurm"]
    if alias is not None and not hosts_of(job.name):
        how += ["--alias", alias]
    return f"lab run {shlex.join([*words, *how, _OPTION, job.id])}"
