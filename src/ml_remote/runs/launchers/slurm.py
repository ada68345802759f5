"""`lab run --slurm`: a lab as a script on the nodes of a cluster, by torchrun where it is several.

A job that Slurm runs is a job like any other (see jobs.py), with one difference: its runner is the
batch script, and Slurm starts it, on a compute node. The home directory is shared, so the login
node sees the log grow and the end noted, and no process of ours lives there: a login node may end
all processes of a person and be restarted, and the run is still listed, followed and stopped. Three
more files lie in the job's folder:

    slurm       Slurm's number for the job; where it is, Slurm decides whether the job is over
    began       when the batch script began last (seconds since 1970)
    slurm-end   Slurm's last word, the time and the reason; Slurm itself forgets after minutes

Slurm's word is asked for although the exit code is noted: srun ends with 0 when a node fails, and a
job that was stopped to make room (requeued) waits again after its command has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .launcher import OneMachine

if TYPE_CHECKING:
    from ...context import Context
    from ...jobs import Beginning
    from ...jobs.about import Run
    from ...jobs.job import Job
    from ...machine import Machine
    from ...slurm_options import SlurmOptions

__all__ = ["LAUNCHER", "Slurm", "batch_script", "slurm_command"]


class Slurm(OneMachine):
    """A batch job of the cluster whose login node the machine is."""

    name = "slurm"
    options = (
        click.Option(
            ["--slurm"], is_flag=True, help="Hand it to Slurm, as [slurm] in lab.toml says."
        ),
    )
    asked_by = ("slurm",)
    flags = "--slurm"
    is_condensed = False  # a script has no cells

    def command(self, run: Run, *, far: str) -> str:
        """Return what the batch script runs."""
        return slurm_command(run, far=far)

    def beginning(self, context: Context, machine: Machine, run: Run) -> Beginning:
        """Return how a batch script is submitted."""
        from ...jobs import Beginning
        from ...jobs.slurm_words import no_slurm, refusal
        from ...scripts import ExitCode

        for sentence in context.project.settings.slurm.ignored:
            context.console.warn(sentence)
        return Beginning(
            script="start-slurm",
            runner=batch_script(run, context.project.settings.slurm),
            explanations={
                ExitCode.NO_SLURM: lambda said: no_slurm(machine.alias),
                ExitCode.REFUSED: lambda said: refusal(machine.alias, said),
            },
        )

    def started(self, context: Context, machine: Machine, job: Job) -> str:
        """Return the sentence that says that a run has been submitted."""
        assert job.slurm is not None
        wishes = context.project.settings.slurm
        return f"Run {job.id} is job {job.slurm.id} of Slurm on {machine.alias}: {wishes}."


def batch_script(run: Run, options: SlurmOptions) -> str:
    """Return the script that sbatch takes."""
    from ...scripts import script

    return f"#!/bin/sh\n{options.lines(name=run.output_folder)}\n{script('batch')}"


def slurm_command(run: Run, *, far: str) -> str:
    """Return what the batch script runs: srun with the lab as a plain script, by torchrun."""
    import shlex

    from ...scripts import script

    node = shlex.quote(script("slurm-node"))
    return f"FAR={far} node={node}\nset -- {shlex.join(run.words)}\n{script('slurm-command')}"


LAUNCHER = Slurm()
