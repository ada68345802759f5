"""Long commands on the remote machine that go on when the connection is lost.

A job is a shell script that runs in the project's folder there, in a session of its own. What is
known about it lies beside it on the machine (see job_scripts.py), so any computer that reaches the
machine can list, follow and stop it. The script finds its own id in LAB_JOB and its own folder,
which is private and ends with a slash, in LAB_JOB_FOLDER.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ..errors import (
    HostKeyChangedError,
    LabError,
    LoginRefusedError,
    RemoteCommandError,
    UnreachableError,
)
from ..slurm.scripts import NO_SLURM, REFUSED
from ..slurm.words import no_slurm, refusal, waiting
from ..ssh.client import SCRIPT_BEGINS, Client, script_input
from ..ssh.explaining import explain
from ..ui import console
from . import job_scripts
from .job import Job, Kind, State, parse_jobs

__all__ = [
    "Cancel",
    "CancelledError",
    "Job",
    "Kind",
    "MissingFolderError",
    "State",
    "find_job",
    "follow",
    "list_jobs",
    "start",
    "stop",
]

_SSH_FAILED = 255
_STOP_TIMEOUT = 120.0
_PATIENCE = 3600.0
_PAUSE = 2.0  # seconds between attempts to reach the machine again
_PIECE = 65536
# A connection of its own that notices within ten seconds that nobody answers any more.
_OWN_CONNECTION = ("ControlPath=none", "ServerAliveInterval=5", "ServerAliveCountMax=1")
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")  # \r alone may yet become \r\n


class CancelledError(Exception):
    """Nobody wants to follow the job any more."""


class Cancel:
    """Ends a `follow` from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.is_set = False

    def set(self) -> None:
        """Let `follow` raise CancelledError."""
        with self._lock:
            self.is_set = True
            if self._process is not None:
                self._process.kill()

    def attend(self, process: subprocess.Popen[bytes]) -> None:
        """Kill this process, too, once it is set."""
        with self._lock:
            self._process = process
            if self.is_set:
                process.kill()


class MissingFolderError(RemoteCommandError):
    """The project's folder is not on the machine."""


def start(
    client: Client, folder: str, *, kind: Kind, name: str, command: str, batch: str | None = None
) -> Job:
    """Start a shell script in `folder` on the machine and return without waiting for its end.

    `folder` is absolute or relative to the home directory. `name` says in one line what it is.
    With a `batch` script (see slurm/scripts.py) Slurm starts it, when its turn has come. Raises
    LabError when the folder is not there or cannot be written to, or Slurm does not take the job,
    and UnreachableError.
    """
    if not name.isprintable() or not name:
        raise ValueError(f"{name!r} is no line of text")
    runner = (job_scripts.RUNNER, "") if batch is None else (batch, "slurm")
    answer = _ask(client, folder, job_scripts.START, kind, name, command, *runner)
    (job,) = answer.jobs
    return job


def list_jobs(client: Client, folder: str, *, kind: Kind | None = None) -> list[Job]:
    """Return the jobs of the project in `folder`, the oldest first, only those of `kind` if given.

    Raises MissingFolderError when the project is not there yet, and UnreachableError.
    """
    jobs = _ask(client, folder, job_scripts.LIST).jobs
    return [job for job in jobs if kind in (None, job.kind)]


def find_job(client: Client, folder: str, job_id: str) -> Job:
    """Return one job as it is now. Raises LabError when there is no such job."""
    for job in _ask(client, folder, job_scripts.LIST, job_id).jobs:
        return job
    raise _no_job(client, job_id)


def follow(
    client: Client,
    folder: str,
    job_id: str,
    *,
    on_line: Callable[[str], None],
    patience: float = _PATIENCE,
    cancel: Cancel | None = None,
) -> Job:
    """Pass on every line that the job prints, from the first one, until it ends; return it then.

    A carriage return ends a line, too: that is how progress bars rewrite theirs. When the
    connection is lost it is made again, for up to `patience` seconds, and no line is missed or
    passed on twice. Raises LabError when there is no such job, UnreachableError when the machine
    does not come back, and CancelledError when `cancel` is set.
    """
    cancel = cancel or Cancel()
    job = find_job(client, folder, job_id)
    log = _Log(on_line, cancel)
    own = client.with_options(*_OWN_CONNECTION, "BatchMode=yes")
    lost: float | None = None
    while True:
        if cancel.is_set:
            raise CancelledError
        try:
            if lost is not None:
                job = find_job(own, folder, job_id)
                console.note(f"The connection to {client.alias} is back.")
                lost = None
            _wait_in_queue(own, folder, job)
            log.stream(own, folder, job_id)
            return find_job(own, folder, job_id)
        except LoginRefusedError:
            # Where a second factor is asked for, the shared connection is the only one.
            shared = client.with_options("BatchMode=yes")
            if own == shared:
                raise
            own = shared
        except HostKeyChangedError:
            raise
        except UnreachableError as error:
            if lost is None:
                lost = time.monotonic()
                console.note(f"{error.message} The work there goes on; trying to reach it again.")
            if time.monotonic() - lost > patience:
                raise
            time.sleep(_PAUSE)


def stop(client: Client, folder: str, job_id: str, *, grace: int = 10) -> Job:
    """End the job and everything it has started, and return it when all of that is gone.

    The processes are asked to end, and killed after `grace` seconds. What a job that is over has
    left behind is ended, too. Raises LabError when there is no such job, or when it runs on another
    machine than the alias leads to.
    """
    answer = _ask(
        client,
        folder,
        job_scripts.STOP,
        job_id,
        str(grace),
        job_id=job_id,
        timeout=_STOP_TIMEOUT + grace,
    )
    (job,) = answer.jobs
    if not job.is_over and job.slurm is not None:
        raise LabError(
            f"Slurm has not ended {job_id} yet: its job {job.slurm.id} is {job.slurm.state}.",
            hint=f"See what becomes of it: lab runs; or on {client.alias}: scancel {job.slurm.id}",
        )
    if not job.is_over and job.host != answer.host:
        raise LabError(
            f"{job_id} runs on {job.host}, and {client.alias} leads to {answer.host} now.",
            hint=f"Log in on {job.host}, then: kill $(cut -d ' ' -f 1 .lab/jobs/{job_id}/pid)",
        )
    if not job.is_over:
        raise LabError(
            f"{job_id} could not be ended; a process that waits for a disk or a device cannot be.",
            hint="Try again: lab stop; if it stays, whoever runs the machine can help",
        )
    return job


def _wait_in_queue(client: Client, folder: str, job: Job) -> None:
    """Say why a job waits in Slurm's queue, and return when it waits no longer."""
    while job.state == "queued" and job.slurm is not None:
        if job.slurm.reason:
            console.note(f"In the queue of Slurm: {waiting(job.slurm)}.")
        reason = job.slurm.reason or "None"
        (job,) = _ask(
            client, folder, job_scripts.QUEUE, job.id, reason, job_id=job.id, timeout=None
        ).jobs


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What one of the scripts printed."""

    host: str
    """The machine that answered."""
    jobs: list[Job]


class _Log:
    """What has been read of a job's log so far."""

    def __init__(self, on_line: Callable[[str], None], cancel: Cancel) -> None:
        self._on_line = on_line
        self._cancel = cancel
        self._offset = 0  # bytes of complete lines

    def stream(self, client: Client, folder: str, job_id: str) -> None:
        """Read on until the job ends. Raises UnreachableError when the connection ends first."""
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                client.command("sh"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            ) as process,
        ):
            self._cancel.attend(process)
            try:
                script = script_input(job_scripts.FOLLOW, folder, job_id, str(self._offset))
                rest = self._pass_on(_output(process, script))
            except BaseException:
                process.kill()
                raise
            returncode = process.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace").replace("\r\n", "\n").strip()
        if self._cancel.is_set:
            raise CancelledError
        if returncode == _SSH_FAILED:
            raise explain(said, alias=client.alias)
        _check(returncode, said, client=client, folder=folder, job_id=job_id)
        if rest:
            self._on_line(rest.decode(errors="replace").removesuffix("\r"))

    def _pass_on(self, pieces: Iterator[bytes]) -> bytes:
        """Pass on the complete lines; return what follows the last one."""
        text = b""
        for piece in pieces:
            text += piece
            begin = 0
            for end in _LINE_END.finditer(text):
                self._on_line(text[begin : end.start()].decode(errors="replace"))
                self._offset += end.end() - begin
                begin = end.end()
            text = text[begin:]
        return text


def _output(process: subprocess.Popen[bytes], script: str) -> Iterator[bytes]:
    """Write a script into `sh` and yield what the script prints, as it comes."""
    assert process.stdin is not None
    assert process.stdout is not None
    # ssh has ended: its exit code says why. That is EPIPE, on Windows EINVAL.
    with suppress(OSError), process.stdin as stdin:
        stdin.write(script.encode())
    begins = SCRIPT_BEGINS.encode()
    before = b""
    while begins not in before:
        piece = os.read(process.stdout.fileno(), _PIECE)
        if not piece:
            return
        before += piece
    yield before.partition(begins)[2]
    while piece := os.read(process.stdout.fileno(), _PIECE):
        yield piece


def _ask(
    client: Client,
    folder: str,
    script: str,
    *arguments: str,
    job_id: str = "",
    timeout: float | None = 60,
) -> _Answer:
    """Run one of the scripts and return its answer. Raises LabError in words when it fails."""
    result = client.run_script(script, folder, *arguments, timeout=timeout, check=False)
    said = result.stdout.strip() or result.stderr.strip()
    _check(result.returncode, said, client=client, folder=folder, job_id=job_id)
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    hosts = [fields[2] for fields in lines if fields[0] == "now"]
    return _Answer(host=hosts[0], jobs=parse_jobs(lines))


def _check(returncode: int, said: str, *, client: Client, folder: str, job_id: str) -> None:
    """Raise the error that an exit code of the scripts stands for."""
    if returncode == job_scripts.NO_FOLDER:
        raise MissingFolderError(
            f"There is no folder {folder} on {client.alias}.", hint="Send the project there: lab up"
        )
    if returncode == job_scripts.NO_JOB:
        raise _no_job(client, job_id)
    if returncode == job_scripts.DISK:
        raise RemoteCommandError(
            f"Nothing can be written into {folder}/.lab on {client.alias}: "
            f"{_in_mebibytes(said)} MiB of its disk are free.",
            hint="Make room there (lab status shows the disk), or mend the rights of that folder",
        )
    if returncode == NO_SLURM:
        raise no_slurm(client.alias)
    if returncode == REFUSED:
        raise refusal(client.alias, said)
    if returncode != 0:
        raise RemoteCommandError(
            f"On {client.alias}, sh ended with exit code {returncode}: {said or 'it said nothing'}"
        )


def _in_mebibytes(kibibytes: str) -> str:
    return str(int(kibibytes) // 1024) if kibibytes.isdecimal() else "?"


def _no_job(client: Client, job_id: str) -> LabError:
    return LabError(
        f"There is no job {job_id} on {client.alias} (any more).",
        hint="See which there are: lab runs",
    )
