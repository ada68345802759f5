"""The script that sbatch takes."""

from __future__ import annotations

from .errors import UsageError
from .scripts import script
from .slurm_options import SlurmOptions

__all__ = ["check_until_done", "slurm_batch"]


def slurm_batch(options: SlurmOptions, *, name: str, until_done: bool = False) -> str:
    """Return the script that sbatch takes; `name` is what squeue shows.

    With `until_done` the job is requeued before its time limit. Raises UsageError where what
    lab.toml asks for does not allow that.
    """
    if until_done:
        check_until_done(options)
    how = "until_done=yes\n" if until_done else ""
    lines = options.lines(name=name, until_done=until_done)
    return f"#!/bin/sh\n{lines}\n{how}{script('batch')}"


def check_until_done(options: SlurmOptions) -> None:
    """Raise UsageError for options that keep a job from being requeued at its time limit."""
    why = {
        "--no-requeue": "Slurm does not requeue such jobs",
        "--signal": "lab sets its own signal",
    }
    for option in options.options:
        name = option.partition("=")[0]
        if name in why:
            raise UsageError(
                f"{name} in options of [slurm] and --until-done cannot be combined: {why[name]}.",
                hint=f"Remove {name} from options in [slurm]",
            )
