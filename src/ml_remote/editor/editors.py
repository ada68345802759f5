"""VS Code and its kin on this computer: which one is here, starting it, its extensions."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import processes
from ..errors import ConfigurationError, LabError
from ..scripts import script
from ..ssh.client import Client

__all__ = ["EDITORS", "Editor", "Kind", "find_editor"]

_SECONDS_TO_START = 20.0
_SECONDS_TO_LIST = 60.0
_SECONDS_TO_INSTALL = 300.0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One of the editors that are built from VS Code's source."""

    program: str
    """What it is called on a command line."""
    name: str
    """What it is called elsewhere."""
    ssh_extension: str
    """The extension that lets it work on another machine over SSH."""
    server: str
    """Where it keeps its other half there, relative to the home directory."""


EDITORS = (
    Kind(
        program="code",
        name="Visual Studio Code",
        ssh_extension="ms-vscode-remote.remote-ssh",
        server=".vscode-server",
    ),
    Kind(
        program="code-insiders",
        name="Visual Studio Code - Insiders",
        ssh_extension="ms-vscode-remote.remote-ssh",
        server=".vscode-server-insiders",
    ),
    Kind(
        program="codium",
        name="VSCodium",
        ssh_extension="jeanp413.open-remote-ssh",
        server=".vscodium-server",
    ),
    Kind(
        program="cursor",
        name="Cursor",
        ssh_extension="anysphere.remote-ssh",
        server=".cursor-server",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Editor:
    """An editor that is installed on this computer."""

    kind: Kind
    command: tuple[str, ...]
    """How it is called: its program, and the arguments that LAB_EDITOR adds."""

    @property
    def is_of_windows(self) -> bool:
        """Whether this is WSL, and the editor that of Windows, which reads Windows' files."""
        return is_wsl() and os.path.realpath(self.command[0]).startswith("/mnt/")

    def open(self, workspace: Path) -> None:
        """Open a workspace file in it. Raises LabError in the editor's own words if it fails."""
        command = [*self.command, str(workspace)]
        # One that stays does so until its window is closed, as with `code --wait`.
        ended = processes.start(command, seconds=_SECONDS_TO_START)
        if ended is not None and ended.returncode != 0:
            raise _failed(command, ended.stdout)

    def install_ssh_extension(self) -> bool:
        """Install the extension for work over SSH; return whether that was necessary."""
        if self.has_ssh_extension():
            return False
        wanted = self.kind.ssh_extension
        self._run("--install-extension", wanted, timeout=_SECONDS_TO_INSTALL)
        return True

    def has_ssh_extension(self) -> bool:
        """Return whether the extension for work over SSH is installed. Raises LabError."""
        installed = self._run("--list-extensions", timeout=_SECONDS_TO_LIST)
        return self.kind.ssh_extension in installed.lower().split()

    def install_there(self, client: Client, extensions: Sequence[str]) -> list[str]:
        """Install extensions on the machine, and return those that were not there before.

        Nothing is installed, and nothing returned, before the editor's first connection to it.
        """
        done = client.run_script(
            script("install-extensions"), self.kind.server, *extensions, timeout=_SECONDS_TO_INSTALL
        )
        return [extension for extension in extensions if extension in done.stdout.splitlines()]

    def _run(self, *arguments: str, timeout: float) -> str:
        command = [*self.command, *arguments]
        try:
            done = processes.run(command, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.kind.name} did not answer in {timeout:.0f} seconds.") from None
        if done.returncode != 0:
            raise _failed(command, done.stderr.strip() or done.stdout)
        return done.stdout


def _failed(command: Sequence[str], output: str) -> LabError:
    """Return the error that passes on the last line of what the editor said."""
    said = (output.strip() or "it said nothing").splitlines()
    return LabError(f"{shlex.join(command)} failed: {said[-1]}")


def is_wsl() -> bool:
    """Return whether this is Linux on Windows."""
    return bool(os.environ.get("WSL_DISTRO_NAME") or os.environ.get("WSL_INTEROP"))


def find_editor() -> Editor | None:
    """Return the editor that LAB_EDITOR names, else the first of EDITORS that is here, else None.

    Raises ConfigurationError when what LAB_EDITOR names is not installed.
    """
    named = os.environ.get("LAB_EDITOR", "").strip()
    if named:
        return _named_editor(named)
    for kind in EDITORS:
        program = shutil.which(kind.program) or _in_applications(kind)
        if program:
            return Editor(kind=kind, command=(program,))
    return None


def _named_editor(named: str) -> Editor:
    """Return the editor that LAB_EDITOR names: a program, maybe followed by arguments for it."""
    try:
        # A path may hold spaces, and on Windows backslashes.
        words = [named] if Path(named).is_file() else shlex.split(named)
    except ValueError:
        words = [named]
    program = shutil.which(words[0])
    if program is None:
        known = ", ".join(kind.program for kind in EDITORS)
        raise ConfigurationError(
            f"LAB_EDITOR is {named!r}, and no such program is installed.",
            hint=f"Set it to {known} or the path of one of these; or unset it to take the first.",
        )
    stem = Path(program).name.partition(".")[0]
    kind = next((kind for kind in EDITORS if kind.program == stem), EDITORS[0])
    return Editor(kind=kind, command=(program, *words[1:]))


def _in_applications(kind: Kind) -> str | None:
    """Return the program of an application on macOS, where it is rarely on the PATH."""
    if sys.platform != "darwin":
        return None
    contents = Path("/Applications") / f"{kind.name}.app" / "Contents"
    return shutil.which(kind.program.partition("-")[0], path=contents / "Resources" / "app" / "bin")
