"""The batch script of a lab that Slurm runs, and what it runs on the nodes."""

from __future__ import annotations

import shlex

from ..runs.labs import Lab, output_folder
from .options import SlurmOptions
from .scripts import BATCH, TORCHRUN

__all__ = ["batch_script", "slurm_command"]


def batch_script(lab: Lab, options: SlurmOptions) -> str:
    """Return the script that sbatch takes."""
    return BATCH.format(options=options.lines(name=output_folder(lab.title)))


def slurm_command(lab: Lab) -> str:
    """Return what the batch script runs: srun with the lab as a plain script, by torchrun."""
    return TORCHRUN.format(words=shlex.join(lab.words))
