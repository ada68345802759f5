"""Following a job to its end, over as many connections as that takes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from ..errors import HostKeyChangedError, LabError, LoginRefusedError, UnreachableError
from ..machine import Machine
from ..processes import LONGEST_LINE, MOST_OUTPUT, Running, running
from ..scripts import check, run_script, script
from ..ssh.client import SCRIPT_BEGINS, SCRIPT_COMMAND, script_input
from ..ssh.shared_connection import is_known_to_ask
from ..ssh.ssh_log import ssh_log
from ..ui.console import Console
from .finding import find_job, only_job
from .job import Job, parse_answer
from .outage import Outage
from .slurm_messages import waiting

__all__ = ["Cancel", "CancelledError", "follow"]

_LEAST_WAIT = 1.0  # seconds between two questions about the queue, whatever the machine does
_PATIENCE = 600.0  # seconds
_LONGEST_QUEUE = 900.0  # seconds; the script answers after ten minutes, whatever happens
# A connection of its own that notices within ten seconds that nobody answers any more.
_OWN_CONNECTION = ("ControlPath=none", "ServerAliveInterval=5", "ServerAliveCountMax=1")
_OVER = "== lab over ==\n"
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")  # \r alone may yet become \r\n


class CancelledError(Exception):
    """Following the job was cancelled."""


class Cancel:
    """Ends a `follow` from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Running | None = None
        self.is_set = False

    def set(self) -> None:
        """Make `follow` raise CancelledError."""
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


def follow(
    machine: Machine,
    job_id: str,
    *,
    console: Console,
    on_line: Callable[[str], None],
    on_update: Callable[[str], None] | None = None,
    again: str,
    known: Job | None = None,
    patience: float = _PATIENCE,
    cancel: Cancel | None = None,
) -> Job:
    """Pass on every line that the job prints, from the first one, until it ends; return it then.

    A carriage return ends a line, too: that is how progress bars rewrite theirs. Such a line goes
    to `on_update`, if that is given. When the connection is lost it is made again, for up to
    `patience` seconds in which this computer is awake, and no line is missed or passed on twice.
    `known` is the job as it was a moment ago. Raises LabError when there is no such job,
    UnreachableError when the machine does not come back, with `again`, the command that follows the
    job again, and CancelledError when `cancel` is set.
    """
    cancel = cancel or Cancel()
    job = known or find_job(machine, job_id)
    log = _Log(on_line, cancel, on_update)
    shared = replace(machine, client=machine.client.with_options("BatchMode=yes"))
    own = replace(shared, client=shared.client.with_options(*_OWN_CONNECTION))
    if is_known_to_ask(machine.client):
        own = shared
    at_end = shared  # a login takes many round trips; one that the network was cut off of is no use
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
                end = log.stream(own, job_id)
            return _told_at_end(end, job_id) or find_job(at_end, job_id)
        except LoginRefusedError:
            # Where every login asks a person, the shared connection is the only one.
            if own == shared:
                raise
            own = shared
        except HostKeyChangedError:
            raise
        except UnreachableError as error:
            at_end = own
            if not outage.lasts:
                console.note(f"{error.message} Work on {machine.alias} continues; reconnecting.")
            outage.wait(error)


def _told_at_end(text: str, job_id: str) -> Job | None:
    """Return the job as the script has described it that followed it; None if that is not clear."""
    with suppress(LabError):
        answer = parse_answer(text)
        if [job.id for job in answer.jobs if job.is_over] == [job_id] and not answer.faults:
            return answer.jobs[0]
    return None


def _wait_in_queue(machine: Machine, job: Job, console: Console) -> None:
    """Show why a job waits in Slurm's queue, and return when it no longer waits."""
    while job.state == "queued" and job.slurm is not None:
        if job.slurm.reason:
            console.note(f"In the queue of Slurm: {waiting(job.slurm)}.")
        reason = job.slurm.reason or "None"
        asked = time.monotonic()
        done = run_script(
            machine, "wait-in-queue", job.id, reason, job=job.id, timeout=_LONGEST_QUEUE
        )
        time.sleep(max(0.0, asked + _LEAST_WAIT - time.monotonic()))
        job = only_job(parse_answer(done.stdout), machine)


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

    def stream(self, machine: Machine, job_id: str) -> str:
        """Read on until the job ends; return what describes it then.

        Raises UnreachableError when the connection ends first.
        """
        command = machine.client.command
        with (
            ssh_log(machine.client.proxy_error) as own,
            running(command(*SCRIPT_COMMAND, flags=own.flags)) as program,
        ):
            self._cancel.attend(program)
            text = script_input(script("follow"), machine.folder, job_id, str(self.offset))
            program.send(text, close=True)
            rest = self._pass_on(_output(program))
            returncode = program.wait()
            errors = program.errors()
            said = own.said(errors, returncode)
        if self._cancel.is_set:
            raise CancelledError
        check(returncode, said, machine=machine, job=job_id)
        if rest:
            self._on_line(rest.decode(errors="replace").removesuffix("\r"))
        return errors.partition(_OVER)[2]

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
