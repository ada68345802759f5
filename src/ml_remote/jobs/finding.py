"""The jobs of a project as they are now, or one of them."""

from __future__ import annotations

from ..answers import unusable
from ..errors import LabError
from ..machine import Machine
from ..scripts import ExitCode, failure, run_script
from ..ui.console import Console
from .job import Answer, Job, parse_answer

__all__ = ["find_job", "list_jobs", "listed", "only_job", "tell_of_many"]

_MANY = 2000  # jobs; a machine lists two to three thousand in a second


def list_jobs(machine: Machine, *, console: Console, kind: str | None = None) -> list[Job]:
    """Return the jobs of the project, the oldest first, only those of `kind` if given.

    Jobs that cannot be read, as newer versions may start them, are named in warnings. Raises
    MissingFolderError when the project is not on the machine yet, and UnreachableError.
    """
    return listed(run_script(machine, "list-jobs").stdout, machine, console=console, kind=kind)


def listed(text: str, machine: Machine, *, console: Console, kind: str | None = None) -> list[Job]:
    """Return the jobs that a script has printed; see list_jobs."""
    answer = parse_answer(text)
    for job_id, fault in answer.faults.items():
        console.warn(f"Job {job_id} on {machine.alias} was skipped: {fault}.")
    tell_of_many(len(answer.jobs), machine, console)
    return [job for job in answer.jobs if kind in (None, job.kind)]


def tell_of_many(number: int, machine: Machine, console: Console) -> None:
    """Explain why reading the jobs of a project takes long, if it does."""
    if number >= _MANY:
        console.note(
            f"{machine.alias} keeps {number:,} jobs of this project, and reading them takes a few "
            "seconds each time. To remove old ones: lab runs --remove RUN"
        )


def find_job(machine: Machine, job_id: str) -> Job:
    """Return one job as it is now. Raises LabError when there is no such job, or none to read."""
    answer = parse_answer(run_script(machine, "list-jobs", job_id).stdout)
    if not answer.jobs and not answer.faults:
        raise failure(ExitCode.NO_JOB, "", machine=machine, job=job_id)
    return only_job(answer, machine)


def only_job(answer: Answer, machine: Machine) -> Job:
    """Return the job that an answer is about. Raises LabError when it cannot be read."""
    for job_id, fault in answer.faults.items():
        raise LabError(f"Job {job_id} on {machine.alias} cannot be read: {fault}.")
    if len(answer.jobs) != 1:
        raise unusable("job", f"{len(answer.jobs)} jobs")
    return answer.jobs[0]
