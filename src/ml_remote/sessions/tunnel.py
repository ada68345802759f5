"""Ports of this computer that lead to the remote machine, whatever the network does.

The tunnel is one ssh process with a connection of its own: a forward over a shared connection
outlives a command that is killed. ssh itself notices when the machine does not answer any more, and
ends. Then another connection is made, until a session that they lead to is over. That a login comes
to an end is watched here: ssh's own limits cover the connection before it and the signs of life
after it.

Only where every login asks a person, the way is the shared connection, with guarded forwards. What
it does in silence is left to it; when it is lost, the person is asked again.
"""

from __future__ import annotations

import http.client
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from ..errors import (
    HostKeyChangedError,
    HostKeyUnknownError,
    InteractiveLoginError,
    LabError,
    LoginRefusedError,
    UnreachableError,
)
from ..machine import Machine
from ..processes import MOST_OUTPUT, Running, running
from ..scripts import ExitCode, failure
from ..ssh.client import CONNECT_TIMEOUT, SCRIPT_BEGINS, SCRIPT_COMMAND, script_input
from ..ssh.explaining import explain
from ..ssh.forwards import forwarded
from ..ssh.shared_connection import (
    is_known_to_ask,
    is_open,
    note_that_it_asks,
    reopen,
    those_that_ask,
)
from ..ssh.ssh_log import SshLog, ssh_log
from ..ssh.waiting import told_of_waiting
from ..ui.console import Console
from .port import KeptPort, Way

__all__ = ["BEAT", "Forward", "Route", "keep_open", "warning_of_end"]

BEAT = 2.0
"""Seconds between two signs of life of the script on the machine."""
_FIRST_PATIENCE = 60.0  # seconds for the first connection, its login included
_LEAST_PATIENCE = 5.0  # seconds for one after that; more where the first one took long
_PAUSE = 1.0  # seconds between two attempts
_PAUSE_AFTER_REFUSAL = 5.0  # servers bar an address that fails to log in too often
_OPEN_PATIENCE = 50.0  # seconds for a session that runs to take connections
_ANSWER_TIMEOUT = 60.0  # seconds until JupyterLab must have answered for the first time
# A connection counts as lost when the machine has not answered for eight seconds.
_ENDING = re.compile(r"ending [0-9]")
_OPTIONS = (
    "ControlPath=none",
    "BatchMode=yes",
    "ClearAllForwardings=no",
    "ServerAliveInterval=4",
    "ServerAliveCountMax=1",
)


@dataclass(frozen=True, kw_only=True)
class Forward:
    """A port of this computer, and where it leads."""

    port: KeptPort
    to: str
    """As ssh names it, seen from the machine: the path of a socket, or `host:port`."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a tunnel leads."""

    machine: Machine
    forwards: tuple[Forward, ...]
    script: str
    """Runs there meanwhile and prints signs of life: `open`, `alive`, `ended`, `failed`.

    On a compute node it also prints `ending` and the minutes that are left. It ends with its
    descriptor 3."""
    arguments: tuple[str, ...]
    job_id: str = ""
    """The session that the first forward leads to; nothing where it leads to no session."""


def _leave_alone(said: str) -> None:
    """Ignore what ssh printed."""


def keep_open(
    route: Route,
    *,
    console: Console,
    opened: Callable[[], None],
    heard: Callable[[str], None] = _leave_alone,
) -> bool:
    """Keep the tunnel open until the session is over; return whether it ended in order.

    `opened` is called once, when the way is open and a session has answered a first request;
    `heard` every few seconds with all that ssh has written in this connection. Raises
    UnreachableError when the first connection cannot be made, HostKeyChangedError at any time, and
    LabError when the session or the project's folder is no longer there, or when it takes no
    connections for long.
    """
    patience = _FIRST_PATIENCE
    is_known = False  # whether there has been a connection already
    was_open = False
    lost = False
    is_warned = False  # of the end of a compute node's job
    alias = route.machine.alias
    while True:
        if those_that_ask(route.machine.client):
            _open_shared(route, console, is_known=is_known)
        if is_known_to_ask(route.machine.client):
            patience = _FIRST_PATIENCE  # silence is no reason to log in again
        began = time.monotonic()
        with _connected(route, patience) as connection:
            for word in connection.words():
                if not is_known:
                    patience = max(_LEAST_PATIENCE, 3 * (time.monotonic() - began))
                    is_known = True
                if word in ("ended", "failed"):
                    return word == "ended"
                if word == "open":
                    if not was_open:
                        if route.job_id:
                            _await_answer(route, connection)
                        opened()
                    elif lost:
                        console.note(f"Connected to {alias} again.")
                    was_open = True
                    lost = False
                if word.startswith("ending ") and not is_warned:
                    console.warn(warning_of_end(alias, word))
                    is_warned = True
                heard(connection.said())
            error = connection.failure()
        if isinstance(error, InteractiveLoginError) and not those_that_ask(route.machine.client):
            note_that_it_asks(route.machine.client)
            continue
        if not is_known or not isinstance(error, UnreachableError):
            raise error
        if isinstance(error, HostKeyChangedError | HostKeyUnknownError):
            raise error
        if not lost:
            continues = "The session continues; connecting" if route.job_id else "Connecting"
            console.note(f"{error.message} {continues} again.")
            lost = True
        time.sleep(_PAUSE_AFTER_REFUSAL if isinstance(error, LoginRefusedError) else _PAUSE)


def _open_shared(route: Route, console: Console, *, is_known: bool) -> None:
    """Ensure that the shared connection is open; if it was lost, ask until it is open again."""
    told = ""
    while True:
        try:
            reopen(route.machine.client, away=is_known)
            return
        except UnreachableError as error:
            if not is_known or isinstance(error, HostKeyChangedError | HostKeyUnknownError):
                raise
            if told != error.message:
                console.note(f"{error.message} {error.hint or ''}")
                told = error.message
        time.sleep(_PAUSE_AFTER_REFUSAL)


def warning_of_end(alias: str, word: str) -> str:
    """Return the warning that a compute node will soon be gone; `word` has the minutes."""
    minutes = int(word.partition(" ")[2])
    when = "in a minute" if minutes < 2 else f"in {minutes + 1} minutes"
    return (
        f"The job behind {alias} reaches its time limit {when}, and everything in it ends. Save "
        "your work."
    )


@contextmanager
def _connected(route: Route, patience: float) -> Iterator[_Connection]:
    """Forward the ports while the context lasts, and run the script that gives signs of life.

    `patience` is how many seconds there are until that says a first word.
    """
    client = route.machine.client
    ways = [one.port.new_way() for one in route.forwards]
    pairs = [
        (way if isinstance(way, str) else f"127.0.0.1:{way}", one.to)
        for way, one in zip(ways, route.forwards, strict=True)
    ]
    flags: list[str] = []
    if is_known_to_ask(client):
        over_shared: AbstractContextManager[None] = forwarded(client, pairs)
        client = client.with_options("BatchMode=yes", "ControlMaster=no")
    else:
        over_shared = nullcontext()
        limit = min(CONNECT_TIMEOUT, math.ceil(patience))
        client = client.with_options(*_OPTIONS, f"ConnectTimeout={limit}")
        for near, to in pairs:
            flags += ["-L", f"{near}:{to}"]
    with (
        ssh_log(client.proxy_error) as own,
        over_shared,
        running(
            client.command(*SCRIPT_COMMAND, flags=[*own.flags, *flags]), own_session=True
        ) as process,
        # That it connects again is said already.
        told_of_waiting(client, answered=lambda: process.has_printed or patience < _FIRST_PATIENCE),
    ):
        connection = _Connection(route, process, own, patience, ways)
        try:
            process.send(script_input(route.script, *route.arguments, before="exec 3<&0"))
            yield connection
        finally:
            for one in route.forwards:
                one.port.lead(None)
            connection.alarm.cancel()


class _Connection:
    """What the machine sends over one connection."""

    def __init__(
        self,
        route: Route,
        process: Running,
        own: SshLog,
        patience: float,
        ways: Sequence[Way],
    ) -> None:
        self._route = route
        self._own = own
        self._ways = ways
        self._process = process
        self._is_late = False
        self._is_closed = False
        self.alarm = threading.Timer(0, self._give_up)
        self.watch(patience, self._give_up)

    def words(self) -> Iterator[str]:
        """Yield what the script says until nothing more comes; the ports lead there meanwhile."""
        lines = self._process.lines()
        # What the login shell prints comes first, and may be anything.
        size = 0
        for line in lines:
            size += len(line) + 1
            if f"{line}\n".endswith(SCRIPT_BEGINS):
                break
            if size > MOST_OUTPUT:
                self._process.end_as_too_much()
        else:
            return
        is_first = True
        for line in lines:
            if is_first:
                self.watch(_OPEN_PATIENCE, self.give_up_session)
            if line in ("open", "ended", "failed"):
                self.alarm.cancel()
            is_first = False
            if self._has_no_way():
                return
            for one, way in zip(self._route.forwards, self._ways, strict=True):
                one.port.lead(way)
            if line in ("open", "alive", "ended", "failed") or _ENDING.fullmatch(line):
                yield line
            else:
                size += len(line) + 1
            if size > MOST_OUTPUT:
                self._process.end_as_too_much()

    def failure(self) -> LabError:
        """End the connection and return the error that says why it is no good."""
        self._process.kill()
        code = self._process.wait()
        machine = self._route.machine
        if self._has_no_way():
            return UnreachableError(
                "ssh could not listen on this computer, so there is no tunnel.",
                hint="To find the cause: lab doctor",
            )
        if self._is_closed:
            return LabError(
                f"The session on {machine.alias} has run for {_OPEN_PATIENCE:.0f} seconds without "
                "accepting connections.",
                hint="It may still be starting: run the command again. Or end it: "
                "lab jupyter --stop, or lab tensorboard --stop",
            )
        if self._is_late:
            return UnreachableError(
                f"{machine.alias} no longer answers.", hint="To find the cause: lab doctor"
            )
        if code in (ExitCode.NO_FOLDER, ExitCode.NO_JOB):
            return failure(code, "", machine=machine, job=self._route.job_id)
        if is_known_to_ask(machine.client) and not is_open(machine.client):
            return UnreachableError(f"The connection to {machine.alias} was lost.")
        errors = self._process.errors()
        return explain(self._own.said(errors, ExitCode.SSH), alias=machine.alias, others=errors)

    def said(self) -> str:
        """Return what ssh itself has said."""
        return self._own.read() or self._process.errors()

    def watch(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Give up after so many seconds, unless the alarm is set again or cancelled before that."""
        self.alarm.cancel()
        self.alarm = threading.Timer(seconds, give_up)
        self.alarm.daemon = True
        self.alarm.start()

    def give_up_session(self) -> None:
        """End the connection, as the session does not do what it should."""
        self._is_closed = True
        self._process.kill()

    def _give_up(self) -> None:
        self._is_late = True
        self._process.kill()

    def _has_no_way(self) -> bool:
        """Return whether ssh could not listen: it says so before it runs anything there."""
        ways = "|".join(re.escape(str(way)) for way in self._ways)
        pattern = rf"cannot (listen to port|bind to path):? ({ways})\b"
        return re.search(pattern, self.said()) is not None


def _await_answer(route: Route, connection: _Connection) -> None:
    """Send the first request and wait until it is answered. Raises LabError when it is not."""
    connection.watch(_ANSWER_TIMEOUT, connection.give_up_session)  # it may answer bit by bit
    number = route.forwards[0].port.number
    request = http.client.HTTPConnection("127.0.0.1", number, timeout=_ANSWER_TIMEOUT)
    try:
        request.request("GET", "/login")
        request.getresponse().read(1024)
    except (OSError, http.client.HTTPException):
        alias = route.machine.alias
        if re.search(r"open failed: (administratively prohibited|unknown)", connection.said()):
            raise LabError(
                f"The SSH server of {alias} does not forward to sockets.",
                hint="Ask whoever runs the machine for: AllowStreamLocalForwarding yes",
            ) from None
        if is_known_to_ask(route.machine.client):  # what ssh says of it, nobody reads
            raise LabError(
                f"The session on {alias} does not answer over the shared connection; the SSH "
                "server there may not forward to sockets.",
                hint="Ask whoever runs the machine for: AllowStreamLocalForwarding yes",
            ) from None
        raise LabError(
            f"The session on {alias} accepts connections, but does not answer.",
            hint="End it: lab jupyter --stop, or lab tensorboard --stop; then try again",
        ) from None
    finally:
        connection.alarm.cancel()
        request.close()
