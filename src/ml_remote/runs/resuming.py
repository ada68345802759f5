"""`lab run --resume`: continuing an unfinished run from its last checkpoint.

The new run has a folder of its own, into which a copy of the checkpoint is put; `fit()` finds it.
Nothing of the earlier run is changed, so it can be resumed more than once.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from ..answers import JOB, is_a
from ..errors import UsageError
from ..jobs.about import Run
from ..jobs.job import Job
from ..machine import Machine
from ..scripts import run_script, script
from ..ui.text import in_one_line

__all__ = ["CHECKPOINT", "resume_command", "resumed", "taking_checkpoint"]

CHECKPOINT = "checkpoint.pt"
"""Its name in the folder of a run."""


def resumed(run: Run, text: str | None, machines: Sequence[Machine]) -> Run:
    """Return the run that continues from the one whose id is, or alone contains, `text`.

    None leaves the run as it is. Raises UsageError when no checkpoint on any of the machines, or
    more than one, can be meant.
    """
    if text is None:
        return run
    known = sorted(
        {
            line
            for machine in machines
            for line in run_script(machine, "checkpoints", run.output_folder).stdout.split("\n")
            if is_a(JOB, line)
        }
    )
    found = [one for one in known if one == text] or [one for one in known if text in one]
    if len(found) == 1:
        return replace(run, resume=found[0])
    which, fits = (f"{len(found)} checkpoints", "match") if found else ("No checkpoint", "matches")
    where = ", ".join(machine.alias for machine in machines)
    latest = ", ".join((found or known)[-3:]) or "none; one is written after every epoch"
    raise UsageError(
        f"{which} of {run.lab or run.name} on {where} {fits} {text!r}. The latest: {latest}.",
        hint="lab runs --all",
    )


def taking_checkpoint(run: Run) -> str:
    """Return the lines of sh that copy the checkpoint, where it is, into `LAB_OUTPUT_DIR`."""
    if not run.resume:
        return ""
    old = f"outputs/{run.output_folder}/{run.resume}/{CHECKPOINT}"
    return f"from={shlex.quote(old)}\n{script('take-checkpoint')}"


def resume_command(job: Job, *, alias: str | None = None) -> str:
    """Return the command that continues from the last checkpoint of a run.

    `alias` is its machine, where that is not the one of `lab.toml`.
    """
    how = [] if job.slurm is None else ["--slurm"]
    if alias is not None and not job.run.hosts:
        how += ["--alias", alias]
    return f"lab run {in_one_line(replace(job.run, resume='').call(*how, '--resume', job.id))}"
