"""A setup as a Slurm job, for login nodes that kill what takes much CPU time or memory."""

from __future__ import annotations

from dataclasses import replace

from .context import Context
from .errors import LabError
from .jobs import Job, JobStart
from .jobs.slurm_messages import ending, remedy, submission_errors
from .machine import Machine
from .scripts import ExitCode, run_script
from .setup_output import Output
from .slurm_batch import slurm_batch

__all__ = ["ends_by_limit", "failure_of", "in_job", "may_be_in_job"]

_BY_SIGNAL = (128 + 9, 128 + 24)  # SIGKILL; SIGXCPU, by which a limit of CPU time ends a program
_LIMITED = ("(ulimit -t)", "was killed: by somebody")  # in what the far half says of its programs
_NO_INTERNET = "may have no internet"
_COMMAND = "lab setup --slurm"


def in_job(context: Context, machine: Machine) -> JobStart:
    """Return how a setup is begun as a job of Slurm: on one node, with what [slurm] asks for."""
    options = context.project.settings.slurm
    for sentence in options.ignored:
        context.console.warn(sentence)
    return JobStart(
        script="start-slurm",
        runner=slurm_batch(replace(options, nodes=1), name="setup"),
        explanations={
            **submission_errors(machine.alias),
            ExitCode.NO_SLURM: lambda _: LabError(
                f"There is no Slurm on {machine.alias}: sbatch is not found.",
                hint="Make the environment without Slurm: lab setup, without --slurm and without "
                "in_job in lab.toml",
            ),
        },
    )


def ends_by_limit(ended: Job, output: Output) -> bool:
    """Return whether the machine has ended a setup that was no job of Slurm."""
    if ended.slurm is not None:
        return False
    if ended.state == "lost":  # its runner was killed, too; or the machine was restarted
        return True
    by_signal = ended.exit_code in _BY_SIGNAL or any(one in output.error for one in _LIMITED)
    return ended.state == "failed" and by_signal


def may_be_in_job(context: Context, machine: Machine) -> bool:
    """Offer a Slurm job for a setup that the machine killed, if it has Slurm.

    Only somebody at a terminal is asked; to others the failure names the command.
    """
    if not context.console.has_terminal() or not _has_slurm(machine):
        return False
    context.console.error(
        f"{machine.alias} has killed the setup, as login nodes with limits on CPU time and memory "
        "do."
    )
    return context.console.confirm("Make the environment in a Slurm job?", yes=False)


def _has_slurm(machine: Machine) -> bool:
    return run_script(machine, "has-slurm").stdout.split()[-1:] == ["yes"]


def failure_of(ended: Job, output: Output, machine: Machine, log: str) -> LabError:
    """Return the error for a setup that failed, with what a job of Slurm has to do with it."""
    alias = machine.alias
    if ended.slurm is not None and ending(ended.slurm):
        what = remedy(ended.slurm) or "Try again: lab setup"
        return LabError(
            f"No environment on {alias}: the Slurm job that makes it did not finish: "
            f"{ending(ended.slurm)}.",
            hint=f"{what}\nFull output: {log}",
        )
    failure = output.failure(alias, log)
    if ended.slurm is not None and _NO_INTERNET in failure.message:
        again = "If only the login node has internet: lab setup, without --slurm"
        return LabError(failure.message, hint=f"{again}\nFull output: {log}")
    if ends_by_limit(ended, output) and not output.error and _has_slurm(machine):
        return LabError(
            failure.message,
            hint="The machine has killed the setup, as login nodes with limits on CPU time and "
            f"memory do. Make it in a Slurm job: {_COMMAND}\nFull output: {log}",
        )
    return failure
