"""`lab run --slurm`: a lab as a script on a cluster, by torchrun on several nodes.

A job that Slurm runs is a job like any other (see `jobs`), with one difference: its runner is the
batch script, and Slurm starts it, on a compute node. The home directory is shared, so the login
node sees the log grow and the end noted, and no process of ours lives there: a login node may end
all processes of a person and be restarted, and the run is still listed, followed and stopped. Three
more files are in the job's folder:

    slurm       Slurm's number for the job; where it is, Slurm decides whether the job is over
    began       when the batch script began last (seconds since 1970)
    slurm-end   Slurm's last word, the time and the reason; Slurm itself forgets after minutes

Slurm's word is asked for although the exit code is noted: srun ends with 0 when a node fails, and a
job that was stopped to make room (requeued) waits again after its command has ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from .launcher import OneMachine

if TYPE_CHECKING:
    from ...context import Context
    from ...jobs import JobStart
    from ...jobs.about import Run
    from ...jobs.job import Job
    from ...machine import Machine
    from ...slurm_options import SlurmOptions

__all__ = [
    "LAUNCHER",
    "Slurm",
    "asked",
    "slurm_command",
    "slurm_words",
]


class Slurm(OneMachine):
    """A batch job of the cluster whose login node the machine is."""

    name = "slurm"
    options = (
        click.Option(
            ["--slurm"],
            is_flag=True,
            help="Submit it to Slurm, with the options in [slurm] of lab.toml.",
        ),
        click.Option(
            ["--until-done"],
            is_flag=True,
            help="With --slurm: requeue it at its time limit, until it is done.",
        ),
    )
    asked_by = ("slurm",)
    flags = "--slurm"
    is_later = True
    is_condensed = False  # a script has no cells

    def command(self, run: Run, *, far: str) -> str:
        """Return what the batch script runs."""
        return slurm_command(run, far=far)

    def job_start(self, context: Context, machine: Machine, run: Run) -> JobStart:
        """Return how a batch script is submitted."""
        from ...jobs import JobStart
        from ...jobs.slurm_messages import submission_errors
        from ...slurm_batch import slurm_batch

        for sentence in context.project.settings.slurm.ignored:
            context.console.warn(sentence)
        return JobStart(
            script="start-slurm",
            runner=slurm_batch(
                asked(run, context.project.settings.slurm),
                name=run.output_folder,
                until_done=run.until_done,
            ),
            explanations=submission_errors(machine.alias),
        )

    def started(self, context: Context, machine: Machine, job: Job) -> str:
        """Return the sentence that says that a run has been submitted."""
        assert job.slurm is not None
        wishes = asked(job.run, context.project.settings.slurm)
        until = "; requeued at its time limit until it is done" if job.run.until_done else ""
        number = f"job {job.slurm.id} of Slurm"
        return f"Run {job.id} is {number} on {machine.alias}: {wishes}{until}."


def asked(run: Run, options: SlurmOptions) -> SlurmOptions:
    """Return what Slurm is asked for: `--gpus` comes before [slurm]."""
    return options if run.gpus is None else replace(options, gpus=run.gpus)


def slurm_command(run: Run, *, far: str) -> str:
    """Return what the batch script runs: srun with the lab as a plain script, by torchrun."""
    import shlex

    return slurm_words(shlex.join(run.words), far=far)


def slurm_words(words: str, *, far: str) -> str:
    """Return the same for the lab and its parameters as words of sh."""
    import shlex

    from ...scripts import script

    node = shlex.quote(script("slurm-node"))
    return f"FAR={far} node={node}\nset -- {words}\n{script('slurm-command')}"


LAUNCHER = Slurm()
