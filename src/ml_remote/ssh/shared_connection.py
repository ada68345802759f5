"""The connection that all commands share, where every login asks a person.

ssh asks, but not at the terminal itself: a connection that was begun in the terminal's foreground
ends with the terminal when a jump host is on the way. So ssh runs in a session of its own, and
passes on its questions through a program (SSH_ASKPASS), which `lab` answers.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from .. import processes
from ..errors import ConfigurationError, InteractiveLoginError, UnreachableError
from ..ui.console import Console
from .configuration import expanded
from .entry import ASKED_PERSIST
from .explaining import explain
from .messages import NOISE, OPEN_IT
from .ssh_directory import our_directory

if TYPE_CHECKING:
    from .client import Client

__all__ = [
    "can_ask",
    "control_command",
    "control_socket",
    "is_known_to_ask",
    "is_open",
    "note_that_it_answers",
    "note_that_it_asks",
    "open_shared",
    "prepare",
    "reopen",
    "those_that_ask",
]

_SECONDS_TO_CHECK = 5.0
_LOOK_EVERY = 0.1  # seconds between two looks at what ssh asks
_AWAY = 60.0  # seconds after which the person may have left the terminal
_ASKED_PERSIST = re.compile(rf"(?m)^\s*ControlPersist {ASKED_PERSIST}$")
_HOPS = re.compile(r"(?m)^\s*ProxyJump (\S+)$|^\s*ProxyCommand ssh .* -- ([a-z0-9][a-z0-9._-]*) ")
# However the person has set what ssh may ask for; keys first, as always.
_ASKING = (
    "BatchMode=no",
    "ControlMaster=auto",
    "NumberOfPasswordPrompts=3",
    "PreferredAuthentications=gssapi-with-mic,hostbased,publickey,keyboard-interactive,password",
    "PasswordAuthentication=yes",
    "KbdInteractiveAuthentication=yes",
)
_began = time.monotonic()
_one_at_a_time = threading.Lock()
_prepared: set[Client] = set()
_seen: set[tuple[Path, str]] = set()
_reached: set[tuple[Path, str]] = set()


def is_known_to_ask(client: Client) -> bool:
    """Return whether every login asks a person: our entry says so, or this process has seen it."""
    is_seen = (client.directory, client.alias) in _seen
    return is_seen or _ASKED_PERSIST.search(_entry_of(client)) is not None


def those_that_ask(client: Client) -> list[Client]:
    """Return the machines known to ask a person at every login, in the order that they are met.

    They are the machine itself and the jump hosts that its entry names by aliases.
    """
    hops = ",".join("".join(found) for found in _HOPS.findall(_entry_of(client)))
    on_the_way = [replace(client, alias=name, options=()) for name in hops.split(",") if name]
    return [one for one in (*on_the_way, client) if is_known_to_ask(one)]


def can_ask() -> bool:
    """Return whether ssh's questions are answered: at the terminal, or by the person's program."""
    return Console().has_terminal() or _has_own_program()


def control_socket(client: Client) -> Path | None:
    """Return where the socket of the shared connection is, open or not; None if none is shared."""
    (path, *_) = client.resolve().get("controlpath", ["none"])
    return None if path == "none" else expanded(path)


def control_command(control: Path, what: str, *flags: str) -> list[str]:
    """Return the command that asks a shared connection for something; no configuration is read.

    That could have forwards of its own, and commands to run.
    """
    return ["ssh", "-F", "none", "-S", str(control), "-O", what, *flags, "--", "shared"]


def is_open(client: Client) -> bool:
    """Return whether commands share a connection, and that answers."""
    socket = control_socket(client)
    if socket is None or not socket.exists():
        return False
    try:
        done = processes.run(control_command(socket, "check"), timeout=_SECONDS_TO_CHECK)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def prepare(client: Client) -> None:
    """Open the shared connections of those that are known to ask, unless they are open already.

    Looks once for each machine. Raises LabError, as `open_shared`.
    """
    if client in _prepared:
        return
    for one in those_that_ask(client):
        open_shared(one, is_hop=one.alias != client.alias)
    _prepared.add(client)


def note_that_it_answers(client: Client) -> None:
    """Remember that the machine was reached: if it asks later, the person may be away by then."""
    _reached.add((client.directory, client.alias))


def reopen(client: Client, *, away: bool = False) -> None:
    """Reopen the shared connections, because the machine, or a jump host, asked a person.

    Raises LabError, as `open_shared`.
    """
    away = away or (client.directory, client.alias) in _reached
    for one in those_that_ask(client) or [client]:
        open_shared(one, away=away, is_hop=one.alias != client.alias)


def note_that_it_asks(client: Client) -> None:
    """Remember that every login on the machine asks a person, until this process ends."""
    _seen.add((client.directory, client.alias))


def open_shared(client: Client, *, away: bool = False, is_hop: bool = False) -> None:
    """Ensure that the shared connection is open; ssh asks the person otherwise.

    Where they may be `away`, it waits for Enter first: servers wait for an answer for two minutes
    at most. `is_hop` is for a jump host of the machine that a command is about. Raises
    InteractiveLoginError where nobody can be asked, ConfigurationError where no connection can be
    shared, and LabError when the login fails.
    """
    note_that_it_asks(client)
    with _one_at_a_time:
        if is_open(client):
            return
        console = Console()
        if control_socket(client) is None or processes.is_windows():
            raise _shares_none(client)
        if not can_ask():
            raise _nobody_to_ask(client, is_hop=is_hop)
        if console.has_terminal() and (away or time.monotonic() - _began > _AWAY):
            console.ring()
            console.wait_for_enter(f"{client.alias} asks at every login. Press Enter to log in:")
            if is_open(client):  # opened by another command meanwhile
                return
        console.note(f"Logging in to {client.alias}. Later commands share this connection.")
        _log_in(client, console)


def _entry_of(client: Client) -> str:
    """Return our entry for the machine; nothing where there is none."""
    path = our_directory(client.directory) / f"{client.alias}.conf"
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _nobody_to_ask(client: Client, *, is_hop: bool) -> InteractiveLoginError:
    """Return the error for a machine that asks at every login, without a terminal to ask in."""
    by_alias = f"In a terminal: lab connect --alias {client.alias}; then run the command again"
    return InteractiveLoginError(
        f"{client.alias} asks for an answer at every login, no shared connection is open, and "
        "there is no terminal to ask in.",
        hint=by_alias if is_hop else OPEN_IT,
    )


def _shares_none(client: Client) -> ConfigurationError:
    """Return the error for a machine that asks at every login, with no connection to share."""
    what = f"{client.alias} asks for an answer at every login, and"
    if processes.is_windows():
        return ConfigurationError(
            f"{what} Windows' own ssh cannot share connections.", hint="Use lab in WSL"
        )
    if _entry_of(client):
        return ConfigurationError(
            f"{what} no folder on this computer can hold the socket of a shared connection.",
            hint="Set LAB_SSH_DIR to a directory with a shorter path, on a disk that supports "
            "sockets",
        )
    return ConfigurationError(
        f"{what} your SSH configuration ({client.directory / 'config'}) shares no connection for "
        "it.",
        hint="Add to its entry there: ControlMaster auto, ControlPath ~/.ssh/%C, and "
        "ControlPersist 12h",
    )


def _has_own_program() -> bool:
    """Return whether the person wants ssh to ask a program of theirs, even at a terminal."""
    required = os.environ.get("SSH_ASKPASS_REQUIRE") in ("force", "prefer")
    return required and bool(os.environ.get("SSH_ASKPASS"))


def _log_in(client: Client, console: Console) -> None:
    """Open the connection, while what ssh asks and says is passed on."""
    command = client.with_options(*_ASKING).command(flags=("-f", "-N"))
    shown = 0
    with (
        _asking() as asking,
        processes.running(
            command,
            input="",
            variables=asking.variables,
            discard_output=True,
            own_session=True,
        ) as program,
    ):
        while not program.ends_within(_LOOK_EVERY):
            shown = _pass_on(program.errors(), shown, console)
            asking.pass_on(console)
        code, said = program.wait(), program.errors()
    _pass_on(said, shown, console)
    if code != 0:
        error = explain(said, alias=client.alias, others=said)
        if isinstance(error, InteractiveLoginError):
            raise InteractiveLoginError(
                f"{client.alias} did not accept the answers: {error.message}",
                hint="Run the command again, with the right user name, password and code; a code "
                "is valid for half a minute, and often only once",
            )
        if asking.has_asked and type(error) is UnreachableError:
            raise UnreachableError(
                f"{client.alias} ended the login because it got no answer for a minute or two.",
                hint="Run the command again, with the code at hand",
            )
        raise error


def _pass_on(said: str, shown: int, console: Console) -> int:
    """Show what ssh has added, such as a banner; return how much is shown then."""
    for line in said[shown:].splitlines():
        if not NOISE.match(line):
            console.note(line)
    return len(said)


class _Asking:
    """A program for ssh to ask, in a folder of its own, and the pipes that lead to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._heard = b""
        self.has_asked = False
        program = folder / "ask.sh"
        program.write_bytes(files(__package__).joinpath(program.name).read_bytes())
        program.chmod(0o700)
        for name in ("asked", "answer"):
            os.mkfifo(folder / name, 0o600)
        # Open on both sides, so that neither waits for the other, nor comes to its end.
        self._asked, self._answer = (
            os.open(folder / name, os.O_RDWR | os.O_NONBLOCK) for name in ("asked", "answer")
        )
        self.variables = {
            "SSH_ASKPASS": str(program),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": os.environ.get("DISPLAY") or ":0",  # older ones ask no program without it
        }

    def pass_on(self, console: Console) -> None:
        """Ask the person what ssh has asked, if it has."""
        try:
            self._heard += os.read(self._asked, 2**16)
        except BlockingIOError:
            return
        while b"\0" in self._heard:
            question, _, self._heard = self._heard.partition(b"\0")
            kind, _, text = question.decode(errors="replace").partition("\n")
            if kind == "none":  # such as to touch a security key
                console.note(text)
            else:
                self.has_asked = True
                os.write(self._answer, f"{console.ask_for_ssh(text)}\n".encode())

    def close(self) -> None:
        """Close the pipes."""
        os.close(self._asked)
        os.close(self._answer)


class _OwnProgram:
    """The person's own SSH_ASKPASS setting, which ssh uses."""

    variables: dict[str, str] = {}  # noqa: RUF012
    has_asked = False

    def pass_on(self, console: Console) -> None:
        """Leave it to that program."""


@contextmanager
def _asking() -> Iterator[_Asking | _OwnProgram]:
    if _has_own_program():
        yield _OwnProgram()
        return
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
        asking = _Asking(Path(folder))
        try:
            yield asking
        finally:
            asking.close()
