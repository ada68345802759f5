"""`lab shell`: a shell in the project's folder on the machine, or one command there."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .context import Context
from .errors import UsageError
from .far.exit_codes import ExitCode
from .far_half import ensure_far
from .machine import Machine
from .processes import converse
from .scripts import absolute_folder
from .signals import interrupt_on_signals
from .ssh.explaining import explain
from .ssh.shared_connection import is_open
from .transfer.identity import identity

__all__ = ["shell"]

_SCRIPT = "ml_remote/far/login/shell.sh"  # in the far half
# What ssh says at the end of every session that has a terminal.
_FAREWELL = re.compile(r"(Shared connection|Connection) to \S+ closed\.")


def shell(context: Context, command: Sequence[str], *, alias: str | None = None) -> int:
    """Run `lab shell`; return the exit code of the shell, or of the command.

    Raises LabError when there is no connection or no project.
    """
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not command and not has_terminal:
        raise UsageError(
            "There is no terminal for a shell.",
            hint="Give the command to run: lab shell -- COMMAND",
        )
    machine = context.machine(alias)
    far = ensure_far(machine)
    folder = absolute_folder(machine)
    words = [_escaped(word) for word in (folder, *identity(context.project.root), *command)]
    return _converse(machine, ["sh", f"{folder}/{far}/{_SCRIPT}", *words], has_terminal)


def _escaped(word: str) -> str:
    """Return a word as `printf %b` reads it: no shell between here and there takes a line break."""
    return word.replace("\\", r"\\").replace("\n", r"\n").replace("\r", r"\r")


def _converse(machine: Machine, words: Sequence[str], has_terminal: bool) -> int:
    """Leave the terminal to a command on the machine; return its exit code. Raises LabError."""
    options = [f"RequestTTY={'force' if has_terminal else 'no'}"]
    if has_terminal and is_open(machine.client):
        options.append("LogLevel=ERROR")  # else it says that the shared connection is closed
    client = machine.client.with_options(*options)
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as kept:
        said = Path(kept) / "ssh"  # what ssh itself says, apart from what the command says
        with interrupt_on_signals():  # the exit code of one to `lab` is not the program's
            code = converse(client.command(*words, flags=("-E", str(said))))
        lines = said.read_text(errors="replace").splitlines() if said.exists() else []
    own = [line for line in lines if line and not _FAREWELL.fullmatch(line)]
    if code == ExitCode.SSH and own:
        raise explain("\n".join(own), alias=machine.alias)
    return code
