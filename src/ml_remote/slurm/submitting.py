"""The batch script of a lab that Slurm runs, and what it runs on the nodes."""

from __future__ import annotations

import shlex

from ..runs.labs import Lab, output_folder
from ..scripts import script
from .options import SlurmOptions

__all__ = ["batch_script", "slurm_command"]


def batch_script(lab: Lab, options: SlurmOptions) -> str:
    """Return the script that sbatch takes."""
    return f"#!/bin/sh\n{options.lines(name=output_folder(lab.title))}\n{script('batch')}"


def slurm_command(lab: Lab) -> str:
    """Return what the batch script runs: srun with the lab as a plain script, by torchrun."""
    node = shlex.quote(script("slurm-node"))
    return f"node={node}\nset -- {shlex.join(lab.words)}\n{script('slurm-command')}"
