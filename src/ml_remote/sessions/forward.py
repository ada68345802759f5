"""`lab forward`: ports of this computer that lead to programs on the machine."""

from __future__ import annotations

import http.client
import posixpath
import re
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from .. import answers
from ..context import Context
from ..desktop import open_link
from ..errors import LabError, UsageError
from ..machine import Machine
from ..next_steps import Known, what_next
from ..scripts import absolute_folder, script
from ..signals import interrupt_on_signals
from ..ssh.forwards import close_left_behind
from ..ui.console import Console
from .open_ports import OpenPort, recorded
from .port import KeptPort
from .tunnel import BEAT, Forward, Route, keep_open

__all__ = ["Wanted", "forward", "parse"]

_LARGEST_PORT = 65535
_LONGEST_SOCKET = 100  # bytes of a socket's path; sun_path of unix(7) has 108
_SOCKET = re.compile(r"(?=.*/)[A-Za-z0-9._/@+=, -]+")
_IPV6 = re.compile(r"\[[0-9a-fA-F:]{2,45}\]")
_REPLACED = re.compile(r"[%:]|\$\{")  # in a path, ssh takes these for something of its own
_REFUSED = re.compile(r"open failed: (.*)")
_LOOK_EVERY = 0.5  # seconds between two requests while a page does not answer yet
_ONE_LOOK = 5.0  # seconds for the answer to one of them


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One of the ports that a person asks for."""

    here: int
    to: str
    """A port there, `host:port` as seen from there, or the path of a socket there."""
    is_exact: bool
    """Whether they named the port of this computer: then no other one will do."""

    @property
    def is_socket(self) -> bool:
        """Whether it leads to a socket rather than a port."""
        return "/" in self.to


def parse(text: str) -> Wanted:
    """Read `PORT`, `LOCAL:REMOTE`, `LOCAL:HOST:REMOTE` or `LOCAL:SOCKET`. Raises UsageError."""
    first, colon, rest = text.partition(":")
    here = _port(first)
    if here is None:
        if colon and (first in ("", "*", "localhost") or first[:1] == "[" or "." in first):
            raise _unusable(text, "It begins with an address; lab listens on 127.0.0.1 only.")
        raise _unusable(text, f"{first!r} is not a port: a number from 1 to {_LARGEST_PORT}.")
    if not colon:
        return Wanted(here=here, to=first, is_exact=False)
    if _port(rest) is not None:
        return Wanted(here=here, to=rest, is_exact=True)
    host, _, number = rest.rpartition(":")
    if _port(number) is not None and (answers.is_a(answers.HOST, host) or _IPV6.fullmatch(host)):
        return Wanted(here=here, to=rest, is_exact=True)
    if _SOCKET.fullmatch(rest) and len(rest.encode()) <= _LONGEST_SOCKET:
        return Wanted(here=here, to=rest, is_exact=True)
    raise _unusable(text, f"{rest!r} is neither a port, nor HOST:PORT, nor the path of a socket.")


def _port(text: str) -> int | None:
    number = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
    return number if 1 <= number <= _LARGEST_PORT else None


def _unusable(text: str, why: str) -> UsageError:
    return UsageError(
        f"{text!r} cannot be forwarded. {why}",
        hint="Give PORT, LOCAL:REMOTE or LOCAL:./SOCKET, for example: lab forward 8080:7860",
    )


def forward(
    context: Context, ports: Sequence[str], *, alias: str | None = None, open_page: bool = False
) -> None:
    """Run `lab forward`: keep ports open until Ctrl-C.

    Raises UsageError for ports that cannot be meant, and LabError when the machine or a port of
    this computer is not available.
    """
    wanted = [parse(port) for port in ports]
    close_left_behind()
    machine = context.machine(alias)
    targets = _targets(machine, wanted)
    opened: list[bool] = []
    try:
        with interrupt_on_signals(), ExitStack() as kept:
            forwards = tuple(
                Forward(port=kept.enter_context(_port_here(one, context)), to=target)
                for one, target in zip(wanted, targets, strict=True)
            )
            listed = [
                OpenPort(alias=machine.alias, port=one.port.number, to=asked.to)
                for one, asked in zip(forwards, wanted, strict=True)
            ]
            kept.enter_context(recorded(context.project.state, listed))
            _hold(context, machine, forwards, listed, open_page=open_page, opened=opened)
    except KeyboardInterrupt:
        closed = f"The tunnel is closed. Programs on {machine.alias} continue."
        context.console.say(closed if opened else "No tunnel was opened.")
        context.console.next_step(what_next(context, Known(is_asked=False)))


def _targets(machine: Machine, wanted: Sequence[Wanted]) -> list[str]:
    """Return where each leads, in ssh's words; a socket's path begins at the project's folder.

    Raises UsageError for a path that no socket can have, and LabError when the folder is not there.
    """
    folder = ""
    if any(one.is_socket and not one.to.startswith("/") for one in wanted):
        folder = absolute_folder(machine)
    targets = []
    for one in wanted:
        if not one.is_socket:
            # A program may listen on one of the two addresses that this name has.
            targets.append(f"localhost:{one.to}" if one.to.isdecimal() else one.to)
            continue
        path = posixpath.normpath(posixpath.join(folder, one.to))
        if len(path.encode()) > _LONGEST_SOCKET:
            raise UsageError(
                f"{path} is too long for a socket path: {_LONGEST_SOCKET} bytes at most.",
                hint="Let the program listen on a socket in a folder with a shorter path",
            )
        if _REPLACED.search(path):
            raise UsageError(
                f"{path} cannot be forwarded: it contains %, : or ${{, which ssh would change.",
                hint="Let the program listen on a socket in another folder, and give its full path",
            )
        targets.append(path)
    return targets


def _port_here(wanted: Wanted, context: Context) -> KeptPort:
    """Return a port of this computer, not yet open. Raises LabError when there is none."""
    port = KeptPort(wanted.here, is_exact=wanted.is_exact)
    if port.number != wanted.here:
        context.console.note(
            f"Another program on this computer uses port {wanted.here}, so port {port.number} is "
            "used here."
        )
    return port


def _hold(
    context: Context,
    machine: Machine,
    forwards: tuple[Forward, ...],
    listed: Sequence[OpenPort],
    *,
    open_page: bool,
    opened: list[bool],
) -> None:
    """Keep the ports open until the person closes them; note in `opened` once they are."""
    console, alias = context.console, machine.alias
    told: set[str] = set()

    def tell() -> None:
        opened.append(True)
        for one in listed:
            console.say(f"http://127.0.0.1:{one.port} leads to {one.to} on {alias}.")
        until = "Ctrl-C closes the tunnel; programs on the machine continue."
        console.next_step(what_next(context, Known(left=until)))
        if open_page:
            address = f"http://127.0.0.1:{listed[0].port}/"
            threading.Thread(target=_open_page, args=(address, console), daemon=True).start()

    def hear(said: str) -> None:
        for reason in _REFUSED.findall(said):
            if reason.startswith("administratively prohibited"):
                raise LabError(
                    f"The SSH server of {alias} does not forward to ports or sockets.",
                    hint="Ask whoever runs the machine for: AllowTcpForwarding yes, and "
                    "AllowStreamLocalForwarding yes",
                )
            if reason not in told:
                told.add(reason)
                places = ", ".join(one.to for one in listed)
                console.note(
                    f"{alias} could not connect to {places} ({reason}). It is tried again "
                    "whenever something connects here."
                )

    route = Route(
        machine=machine,
        forwards=forwards,
        script=script("watch-forward"),
        arguments=(f"{BEAT:g}",),
    )
    keep_open(route, console=console, opened=tell, heard=hear)


def _open_page(address: str, console: Console) -> None:
    """Open a page in the browser once it answers."""
    number = int(address.rpartition(":")[2].rstrip("/"))
    while not _answers(number):
        time.sleep(_LOOK_EVERY)
    if not open_link(address):
        console.note(f"This computer has no browser to open. Open {address} yourself.")


def _answers(number: int) -> bool:
    """Return whether a program behind this port speaks HTTP."""
    request = http.client.HTTPConnection("127.0.0.1", number, timeout=_ONE_LOOK)
    try:
        request.request("GET", "/")
        request.getresponse().read(1)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        request.close()
    return True
