"""Long commands on the remote machine that continue when the connection is lost.

A job is a shell script that runs in the project's folder on the machine, in a session of its own.
What is known about it is in its folder, `.lab/jobs/<id>/` (0700), so any computer that reaches
the machine can list, follow and stop it:

    about.json  what it is (see about.py); while it is missing there is no job
    started     when it was started (seconds since 1970)
    command     the script that does the work, run in the project's folder
    runner      the script that runs it and notes how it ended
    log         everything it printed
    pid         the runner's process, its machine, and when that process began
    boot        the same, and what names the machine until it is restarted: its name may change
    sign        touched every few seconds, for other machines that share the disk
    replaced    there when the job was forgotten: a runner that finds it ends what it runs
    exit        exit code and end; blank until then: a full disk cannot keep it from being written
    stopped     there when somebody stopped it

A process number means nothing once its process has ended, so it counts only together with the
moment when that process began. The script finds its own id in LAB_JOB and its own folder, which
ends with a slash, in LAB_JOB_FOLDER: on Linux that finds each of its processes, even one whose
parents are gone; elsewhere the tree of processes has to do.

Where there is a file `slurm` as well, Slurm runs the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ..errors import LabError
from ..machine import Machine
from ..scripts import ExitCode, Explanations, run_script, script
from ..slurm_prepare import with_prepare
from ..ssh.sibling_hosts import sibling_alias
from ..ui.console import Console
from ..ui.text import in_one_line
from .about import About
from .finding import find_job, list_jobs, listed, only_job, tell_of_many
from .following import Cancel, CancelledError, follow
from .job import Job, State, parse_answer

__all__ = [
    "About",
    "Cancel",
    "CancelledError",
    "Code",
    "Job",
    "JobStart",
    "State",
    "find_job",
    "follow",
    "forget",
    "list_jobs",
    "listed",
    "no_sign",
    "replaces",
    "start",
    "stop",
    "tell_of_many",
]

_STOP_TIMEOUT = _SUBMIT_TIMEOUT = 120.0


@dataclass(frozen=True, kw_only=True)
class Code:
    """The checkout that a job runs from; see far/login/checkout.py."""

    far: str
    """The folder of the far half that makes it."""
    results: str
    """Where what it writes there goes: a folder, or one with a slash that has one for each id."""
    folders: tuple[str, ...] = ()
    """The folders that a run finds in it, for its results."""
    again: str = ""
    """The folder below `outputs/` of a run whose code it is; the code as it is now, if empty."""

    @property
    def words(self) -> tuple[str, ...]:
        """What the script that prepares the job is given."""
        return (self.far, self.results, "\n".join(self.folders), self.again)


@dataclass(frozen=True, kw_only=True)
class JobStart:
    """How a job is started on the machine."""

    script: str
    """The script that prepares its folder and begins it; see far/login/prepare.sh."""
    runner: str
    """What runs its command and notes how that ended."""
    explanations: Explanations = field(default_factory=dict)
    """What the script's own exit codes mean."""


def start(
    machine: Machine,
    about: About,
    command: str,
    *,
    beginning: JobStart | None = None,
    code: Code | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Job:
    """Start a shell script in the project's folder and return without waiting for its end.

    Unless `beginning` says otherwise it runs on the machine itself, in a session of its own; with
    `code`, in a checkout of the project as it is now. What the machine prepares comes first. The
    values of `secrets` are kept there in files of their own. Raises LabError when the folder is not
    there or cannot be written to, and UnreachableError.
    """
    how = beginning or JobStart(script="start", runner=script("runner"))
    done = run_script(
        machine,
        how.script,
        about.to_json(),
        with_prepare(machine.prepare, command),
        how.runner,
        *(("", "", "", "") if code is None else code.words),
        *(word for pair in (secrets or {}).items() for word in pair),
        timeout=_SUBMIT_TIMEOUT if beginning else 60,
        explanations={**how.explanations, ExitCode.NO_CODE: lambda said: _no_code(machine, said)},
    )
    return only_job(parse_answer(done.stdout), machine)


def _no_code(machine: Machine, said: str) -> LabError:
    return LabError(
        f"The run's own copy of the code could not be made: {in_one_line(said)}. Nothing was "
        "started.",
        hint=f"See what git reports in the project's folder on {machine.alias}: git status",
    )


def stop(machine: Machine, job_id: str, *, grace: int = 10) -> Job:
    """End the job and everything it has started, and return it when all of that is gone.

    The processes are asked to end, and killed after `grace` seconds. What a job that is over has
    left behind is ended, too. Raises LabError when there is no such job, or when it runs on another
    machine than the alias leads to.
    """
    done = run_script(
        machine, "stop", job_id, str(grace), job=job_id, timeout=_STOP_TIMEOUT + grace
    )
    answer = parse_answer(done.stdout)
    alias = machine.alias
    job = only_job(answer, machine)
    if job.state == "unknown" and job.slurm is not None:
        raise LabError(
            f"Slurm on {alias} does not answer, so {job_id} may still be running.",
            hint=f"Try again later: lab stop {job_id}; or on {alias}: scancel {job.slurm.id}",
        )
    if not job.is_over and job.slurm is not None:
        raise LabError(
            f"Slurm has not ended {job_id} yet: its job {job.slurm.id} is {job.slurm.state}.",
            hint=f"To check on it: lab runs; or on {alias}: scancel {job.slurm.id}",
        )
    if not job.is_over and job.host != answer.host:
        alias, first = sibling_alias(machine.client, job.host)
        first = f"{first}\nThen: " if first else ""
        raise LabError(
            f"{job_id} runs on {job.host}, but {machine.alias} now leads to {answer.host}.",
            hint=f"{first}lab stop {job_id} --alias {alias}\nIf {job.host} is gone or has a new "
            f"name: lab stop --forget {job_id}",
        )
    if not job.is_over:
        raise LabError(
            f"{job_id} could not be stopped. It may be waiting for a disk or device, or run in "
            f"another container called {job.host}.",
            hint="Try again: lab stop; if that does not help, ask whoever runs the machine\nIf it "
            f"runs in another container: lab stop --forget {job_id}",
        )
    return job


def forget(machine: Machine, job_id: str) -> Job:
    """Mark a job as ended if its machine is gone or has a new name.

    Should it be alive there, it ends within seconds. Raises LabError when there is no such job, or
    when the machine itself, or Slurm, can tell what becomes of it.
    """
    job = only_job(parse_answer(run_script(machine, "forget", job_id, job=job_id).stdout), machine)
    if not job.is_over:
        raise LabError(
            f"{job_id} is running on {machine.alias}, so it cannot be forgotten.",
            hint=f"lab stop {job_id}",
        )
    return job


def no_sign(job: Job) -> str:
    """Return since when a job gives no sign of life, in the time zone of this computer."""
    assert job.silent_since is not None
    since = job.silent_since.astimezone()
    is_long = job.silent_since < datetime.now(UTC) - timedelta(hours=20)
    return f"no sign since {since:%d %b %H:%M}" if is_long else f"no sign since {since:%H:%M}"


def replaces(machine: Machine, job: Job, *, console: Console) -> bool:
    """Return whether another job may take the place of this one; then it counts as over.

    That is asked only when it gives no sign of life. Raises LabError where nobody can be asked.
    """
    if job.silent_since is None:
        return False
    what = f"{job.title} on {job.host} has given {no_sign(job)}."
    if not console.has_terminal():
        raise LabError(
            f"{what} It may still be running, so nothing was started.",
            hint=f"If {job.host} is gone: lab stop --forget {job.id}",
        )
    if not console.confirm(
        f"{what} Replace it? If it is still running, it will be ended.", yes=False, default=False
    ):
        return False
    forget(machine, job.id)
    return True
