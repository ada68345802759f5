"""A port of this computer that leads to a session on the remote machine, whatever the network does.

The tunnel is one ssh process with a connection of its own: a forward over a shared connection would
outlive the command. A script at the other end says every two seconds that it is alive. When nothing
was heard for eight seconds, or ssh ends, another connection is made, until the session is over.
"""

from __future__ import annotations

import errno
import http.client
import queue
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..errors import (
    HostKeyChangedError,
    HostKeyUnknownError,
    LabError,
    LoginRefusedError,
    UnreachableError,
)
from ..processes import is_windows
from ..ssh.client import SCRIPT_BEGINS, Client, script_input
from ..ssh.explaining import explain
from ..ui import console
from .session_scripts import WATCH

__all__ = ["PortTakenError", "Route", "free_port", "keep_open"]

_BEAT = 2.0  # seconds between two signs of life
_SILENCE = 8.0  # seconds without one until the connection counts as lost
_FIRST_PATIENCE = 60.0  # seconds for the first connection, its login included
_LEAST_PATIENCE = 5.0  # seconds for one after that; more where the first one took long
_PAUSE = 1.0  # seconds between two attempts
_PAUSE_AFTER_REFUSAL = 5.0  # servers bar an address that fails to log in too often
_ANSWER_TIMEOUT = 60.0  # seconds until JupyterLab must have answered for the first time
_PORTS_TRIED = 20
_OPTIONS = ("ControlPath=none", "BatchMode=yes", "ClearAllForwardings=no")


class PortTakenError(LabError):
    """Another program listens on the port of this computer."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a tunnel leads."""

    client: Client
    folder: str
    """The project's folder on the machine."""
    job_id: str
    """The session."""
    directory: str
    """Where the session's socket lies on the machine."""
    port: int
    """The port of this computer, on 127.0.0.1."""


def free_port(preferred: int) -> int:
    """Return a port of this computer on which nothing listens: `preferred` or one near it."""
    for port in (*range(preferred, preferred + _PORTS_TRIED), 0):
        with socket.socket() as probe:
            if not is_windows():  # there it would take a port away from another program
                # One that was just in use must not look taken: open pages expect the same one.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                continue
            found: int = probe.getsockname()[1]
            return found
    raise LabError("This computer has no free port left.", hint="Close some programs")


def keep_open(route: Route, *, opened: Callable[[], None]) -> bool:
    """Keep the tunnel open until the session is over; return whether it ended in order.

    `opened` is called once, when the session has answered a first request. Raises PortTakenError or
    UnreachableError when the first connection cannot be made, HostKeyChangedError at any time.
    """
    patience = _FIRST_PATIENCE
    is_known = False  # whether there has been a connection already
    is_open = False
    lost = False
    while True:
        began = time.monotonic()
        with _Connection(route) as connection:
            for word in connection.words(patience):
                if not is_known:
                    patience = max(_LEAST_PATIENCE, 3 * (time.monotonic() - began))
                    is_known = True
                if word in ("ended", "failed"):
                    return word == "ended"
                if word == "open":
                    if not is_open:
                        _await_answer(route, connection)
                        opened()
                    elif lost:
                        console.note(f"Connected to {route.client.alias} again.")
                    is_open = True
                    lost = False
            error = connection.failure()
        if not is_known or isinstance(error, HostKeyChangedError | HostKeyUnknownError):
            raise error
        if not lost:
            console.note(f"{error.message} The session there goes on; connecting again.")
            lost = True
        time.sleep(_PAUSE_AFTER_REFUSAL if isinstance(error, LoginRefusedError) else _PAUSE)


class _Connection:
    """One ssh process that forwards the port and runs the script that watches the session."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._silent = False

    def __enter__(self) -> Self:
        route = self._route
        forward = f"127.0.0.1:{route.port}:{route.directory}/socket"
        command = route.client.with_options(*_OPTIONS).command("sh", flags=("-L", forward))
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us
        )
        script = script_input(WATCH, route.folder, route.job_id, route.directory, f"{_BEAT:g}")
        threading.Thread(target=self._talk, args=(script,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()
        self._errors.close()

    def words(self, patience: float) -> Iterator[str]:
        """Yield what the script says, until nothing more is heard.

        `patience` is for the first word, in seconds.
        """
        limit = patience
        while True:
            try:
                line = self._lines.get(timeout=limit)
            except queue.Empty:
                self._silent = True
                return
            if line is None:
                return
            if line in ("open", "alive", "ended", "failed"):
                limit = _SILENCE
                if self._port_is_taken():
                    return
                yield line

    def failure(self) -> LabError:
        """End the connection and return the error that says why it is no good."""
        self._end()
        port, alias = self._route.port, self._route.client.alias
        if self._port_is_taken():
            return PortTakenError(f"Another program on this computer listens on port {port} now.")
        if self._silent:
            return UnreachableError(
                f"{alias} does not answer any more.", hint="See what is wrong: lab doctor"
            )
        return explain(self.said(), alias=alias)

    def said(self) -> str:
        """Return what ssh has written to its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").replace("\r\n", "\n")

    def _talk(self, script: str) -> None:
        """Send the script and pass its lines on; the input stays open while we are there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"exec 3<&0\n{script}")  # WATCH reads descriptor 3
            self._process.stdin.flush()
            lines = iter(self._process.stdout)
            # What the login shell prints comes first, and may be anything.
            if any(line.endswith(SCRIPT_BEGINS) for line in lines):
                for line in lines:
                    self._lines.put(line.strip())
        except (OSError, ValueError):
            pass  # ssh ended, or we ended it
        self._lines.put(None)

    def _port_is_taken(self) -> bool:
        """Return whether ssh could not listen: it says so before it runs anything there."""
        pattern = rf"cannot listen to port: {self._route.port}$"
        return re.search(pattern, self.said(), re.MULTILINE) is not None

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()


def _await_answer(route: Route, connection: _Connection) -> None:
    """Send the first request and wait until it is answered. Raises LabError when it is not."""
    request = http.client.HTTPConnection("127.0.0.1", route.port, timeout=_ANSWER_TIMEOUT)
    try:
        request.request("GET", "/login")
        request.getresponse().read()
    except (OSError, http.client.HTTPException):
        alias = route.client.alias
        if re.search(r"open failed: (administratively prohibited|unknown)", connection.said()):
            raise LabError(
                f"The SSH server of {alias} does not forward to sockets.",
                hint="Ask whoever runs the machine for: AllowStreamLocalForwarding yes",
            ) from None
        raise LabError(
            f"The session on {alias} takes connections, but does not answer.",
            hint="End it: lab jupyter --stop, or lab tensorboard --stop; then try again",
        ) from None
    finally:
        request.close()
