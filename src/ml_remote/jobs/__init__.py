"""Long commands on the remote machine that continue when the connection is lost.

A job is a shell script that runs in the project's folder on the machine, in a session of its own.
What is known about it lies in its folder, `.lab/jobs/<id>/` (0700), so any computer that reaches
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

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ..answers import unusable
from ..errors import HostKeyChangedError, LabError, LoginRefusedError, UnreachableError
from ..machine import Machine
from ..processes import LONGEST_LINE, MOST_OUTPUT, Running, running
from ..scripts import ExitCode, Explanations, ask, check, failure, script
from ..ssh.client import SCRIPT_BEGINS, SCRIPT_COMMAND, script_input
from ..ssh.own_words import own_words
from ..ui.console import Console
from .about import About
from .job import Answer, Job, State, parse_answer
from .outage import Outage
from .slurm_words import waiting

__all__ = [
    "About",
    "Beginning",
    "Cancel",
    "CancelledError",
    "Job",
    "State",
    "find_job",
    "follow",
    "forget",
    "list_jobs",
    "no_sign",
    "replaces",
    "start",
    "stop",
]

_STOP_TIMEOUT = 120.0
_LEAST_WAIT = 1.0  # seconds between two questions about the queue, whatever the machine does
_PATIENCE = 600.0  # seconds
_LONGEST_QUEUE = 900.0  # seconds; the script answers after ten minutes, whatever happens
# A connection of its own that notices within ten seconds that nobody answers any more.
_OWN_CONNECTION = ("ControlPath=none", "ServerAliveInterval=5", "ServerAliveCountMax=1")
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")  # \r alone may yet become \r\n


class CancelledError(Exception):
    """Nobody wants to follow the job any more."""


class Cancel:
    """Ends a `follow` from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Running | None = None
        self.is_set = False

    def set(self) -> None:
        """Let `follow` raise CancelledError."""
        with self._lock:
            self.is_set = True
            if self._process is not None:
                self._process.kill()

    def attend(self, process: Running) -> None:
        """Kill this process, too, once it is set."""
        with self._lock:
            self._process = process
            if self.is_set:
                process.kill()


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """How a job is begun on the machine."""

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
    beginning: Beginning | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Job:
    """Start a shell script in the project's folder and return without waiting for its end.

    Unless `beginning` says otherwise it runs on the machine itself, in a session of its own. The
    values of `secrets` are kept there in files of their own. Raises LabError when the folder is not
    there or cannot be written to, and UnreachableError.
    """
    how = beginning or Beginning(script="start", runner=script("runner"))
    done = ask(
        machine,
        how.script,
        about.to_json(),
        command,
        how.runner,
        *(word for pair in (secrets or {}).items() for word in pair),
        explanations=how.explanations,
    )
    return _only_job(parse_answer(done.stdout), machine)


def list_jobs(machine: Machine, *, console: Console, kind: str | None = None) -> list[Job]:
    """Return the jobs of the project, the oldest first, only those of `kind` if given.

    Jobs that cannot be read, as newer versions may start them, are named in warnings. Raises
    MissingFolderError when the project is not there yet, and UnreachableError.
    """
    answer = parse_answer(ask(machine, "list").stdout)
    for job_id, fault in answer.faults.items():
        console.warn(f"Job {job_id} on {machine.alias} is skipped: {fault}.")
    return [job for job in answer.jobs if kind in (None, job.kind)]


def find_job(machine: Machine, job_id: str) -> Job:
    """Return one job as it is now. Raises LabError when there is no such job, or none to read."""
    answer = parse_answer(ask(machine, "list", job_id).stdout)
    if not answer.jobs and not answer.faults:
        raise failure(ExitCode.NO_JOB, "", machine=machine, job=job_id)
    return _only_job(answer, machine)


def follow(
    machine: Machine,
    job_id: str,
    *,
    console: Console,
    on_line: Callable[[str], None],
    on_update: Callable[[str], None] | None = None,
    again: str,
    patience: float = _PATIENCE,
    cancel: Cancel | None = None,
) -> Job:
    """Pass on every line that the job prints, from the first one, until it ends; return it then.

    A carriage return ends a line, too: that is how progress bars rewrite theirs. Such a line goes
    to `on_update`, if that is given. When the
    connection is lost it is made again, for up to `patience` seconds in which this computer is
    awake, and no line is missed or passed on twice. Raises LabError when there is no such job,
    UnreachableError when the machine does not come back, with `again`, the command that follows the
    job again, and CancelledError when `cancel` is set.
    """
    cancel = cancel or Cancel()
    job = find_job(machine, job_id)
    log = _Log(on_line, cancel, on_update)
    own = replace(machine, client=machine.client.with_options(*_OWN_CONNECTION, "BatchMode=yes"))
    outage = Outage(machine.alias, again=again, patience=patience)
    while True:
        if cancel.is_set:
            raise CancelledError
        try:
            if outage.lasts:
                job = find_job(own, job_id)
                console.note(f"The connection to {machine.alias} is back.")
                outage.end()
            _wait_in_queue(own, job, console)
            with outage.proof(lambda: log.offset):
                log.stream(own, job_id)
            return find_job(own, job_id)
        except LoginRefusedError:
            # Where a second factor is asked for, the shared connection is the only one.
            shared = replace(machine, client=machine.client.with_options("BatchMode=yes"))
            if own == shared:
                raise
            own = shared
        except HostKeyChangedError:
            raise
        except UnreachableError as error:
            if not outage.lasts:
                console.note(f"{error.message} Its work continues; trying to reach it again.")
            outage.wait(error)


def stop(machine: Machine, job_id: str, *, grace: int = 10) -> Job:
    """End the job and everything it has started, and return it when all of that is gone.

    The processes are asked to end, and killed after `grace` seconds. What a job that is over has
    left behind is ended, too. Raises LabError when there is no such job, or when it runs on another
    machine than the alias leads to.
    """
    done = ask(machine, "stop", job_id, str(grace), job=job_id, timeout=_STOP_TIMEOUT + grace)
    answer = parse_answer(done.stdout)
    alias = machine.alias
    job = _only_job(answer, machine)
    if not job.is_over and job.slurm is not None:
        raise LabError(
            f"Slurm has not ended {job_id} yet: its job {job.slurm.id} is {job.slurm.state}.",
            hint=f"See what becomes of it: lab runs; or on {alias}: scancel {job.slurm.id}",
        )
    if not job.is_over and job.host != answer.host:
        raise LabError(
            f"{job_id} runs on {job.host}, and {alias} leads to {answer.host} now.",
            hint=f"Log in on {job.host}, then: kill $(cut -d ' ' -f 1 .lab/jobs/{job_id}/pid)\n"
            f"If {job.host} is gone or has another name now: lab stop --forget {job_id}",
        )
    if not job.is_over:
        raise LabError(
            f"{job_id} could not be ended; a process that waits for a disk or a device cannot be, "
            f"nor one in another container called {job.host}.",
            hint="Try again: lab stop; if it stays, whoever runs the machine can help\n"
            f"If it runs in another container: lab stop --forget {job_id}",
        )
    return job


def forget(machine: Machine, job_id: str) -> Job:
    """Have a job count as over that ran on a machine that is gone or has another name now.

    Should it be alive there, it ends within seconds. Raises LabError when there is no such job, or
    when the machine itself, or Slurm, can tell what becomes of it.
    """
    job = _only_job(parse_answer(ask(machine, "forget", job_id, job=job_id).stdout), machine)
    if not job.is_over:
        raise LabError(
            f"{job_id} runs on {machine.alias}, so it is not forgotten.", hint=f"lab stop {job_id}"
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
            f"{what} It may still run there, so nothing was started.",
            hint=f"If {job.host} is gone: lab stop --forget {job.id}",
        )
    if not console.confirm(
        f"{what} Replace it? Should it still run there, it is ended.", yes=False, default=False
    ):
        return False
    forget(machine, job.id)
    return True


def _only_job(answer: Answer, machine: Machine) -> Job:
    """Return the job that an answer is about. Raises LabError when it cannot be read."""
    for job_id, fault in answer.faults.items():
        raise LabError(f"Job {job_id} on {machine.alias} cannot be read: {fault}.")
    if len(answer.jobs) != 1:
        raise unusable("job", f"{len(answer.jobs)} jobs")
    return answer.jobs[0]


def _wait_in_queue(machine: Machine, job: Job, console: Console) -> None:
    """Say why a job waits in Slurm's queue, and return when it waits no longer."""
    while job.state == "queued" and job.slurm is not None:
        if job.slurm.reason:
            console.note(f"In the queue of Slurm: {waiting(job.slurm)}.")
        reason = job.slurm.reason or "None"
        asked = time.monotonic()
        done = ask(machine, "queue", job.id, reason, job=job.id, timeout=_LONGEST_QUEUE)
        time.sleep(max(0.0, asked + _LEAST_WAIT - time.monotonic()))
        job = _only_job(parse_answer(done.stdout), machine)


class _Log:
    """What has been read of a job's log so far."""

    def __init__(
        self,
        on_line: Callable[[str], None],
        cancel: Cancel,
        on_update: Callable[[str], None] | None = None,
    ) -> None:
        self._on_line = on_line
        self._on_update = on_update or on_line
        self._cancel = cancel
        self.offset = 0
        """How many bytes of complete lines have been passed on."""

    def stream(self, machine: Machine, job_id: str) -> None:
        """Read on until the job ends. Raises UnreachableError when the connection ends first."""
        command = machine.client.command
        with (
            own_words() as own,
            running(command(*SCRIPT_COMMAND, flags=own.flags)) as program,
        ):
            self._cancel.attend(program)
            text = script_input(script("follow"), machine.folder, job_id, str(self.offset))
            program.send(text, close=True)
            rest = self._pass_on(_output(program))
            returncode = program.wait()
            said = own.said(program.errors(), returncode)
        if self._cancel.is_set:
            raise CancelledError
        check(returncode, said, machine=machine, job=job_id)
        if rest:
            self._on_line(rest.decode(errors="replace").removesuffix("\r"))

    def _pass_on(self, pieces: Iterator[bytes]) -> bytes:
        """Pass on the complete lines; return what follows the last one."""
        text = b""
        for more in pieces:
            looked_at = max(0, len(text) - 1)  # its last byte may be the first of a line's end
            text += more
            begin = 0
            for end in _LINE_END.finditer(text, looked_at):
                take = self._on_update if end[0] == b"\r" else self._on_line
                self._take(text[begin : end.start()], size=end.end() - begin, take=take)
                begin = end.end()
            while len(text) - begin > LONGEST_LINE:
                piece = text[begin : begin + LONGEST_LINE]
                self._take(piece, size=LONGEST_LINE, take=self._on_line)
                begin += LONGEST_LINE
            text = text[begin:]
        return text

    def _take(self, line: bytes, *, size: int, take: Callable[[str], None]) -> None:
        """Pass on a line, or a piece of a very long one, that took `size` bytes of the log."""
        for start in range(0, max(1, len(line)), LONGEST_LINE):
            take(line[start : start + LONGEST_LINE].decode(errors="replace"))
        self.offset += size


def _output(program: Running) -> Iterator[bytes]:
    """Yield what a script prints, as it comes, without what the login shell prints before it.

    Raises TooMuchError when that does not end.
    """
    begins = SCRIPT_BEGINS.encode()
    before, size = b"", 0
    pieces = program.pieces()
    for piece in pieces:
        before += piece
        size += len(piece)
        if begins in before:
            yield before.partition(begins)[2]
            break
        if size > MOST_OUTPUT:
            program.end_as_too_much()
            program.wait()
        before = before[-len(begins) :]
    yield from pieces
