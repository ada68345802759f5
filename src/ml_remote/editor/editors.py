"""VS Code, related and other editors on this computer: finding, starting, extensions."""

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

__all__ = ["EDITORS", "GATEWAY", "ON_DEMAND", "Editor", "Kind", "find_editor"]

_SECONDS_TO_START = 20.0
_SECONDS_TO_LIST = 60.0
_SECONDS_TO_INSTALL = 300.0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """An editor that works on another machine over SSH."""

    program: str
    """What it is called on a command line, and by `lab code --editor`."""
    name: str
    """What it is called elsewhere."""
    ssh_extension: str = ""
    """The extension that lets it work over SSH; empty if it does so by itself."""
    server: str = ""
    """Where it keeps its other half there, relative to the home directory.

    Empty for an editor that is not built from VS Code's source: it reads no workspace file, and has
    extensions of its own.
    """
    also: tuple[str, ...] = ()
    """Further names of its program."""

    @property
    def is_of_vs_code(self) -> bool:
        """Whether it is built from VS Code's source, and takes its command line."""
        return bool(self.server)


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
    Kind(program="windsurf", name="Windsurf", server=".windsurf-server"),
    Kind(program="positron", name="Positron", server=".positron-server"),
)
"""Those that are looked for, in this order."""
ZED = Kind(program="zed", name="Zed", also=("zeditor",))
GATEWAY = Kind(program="gateway", name="JetBrains Gateway")
ON_DEMAND = (ZED, GATEWAY)
"""Those that are taken only if they are named: other programs have these names, too."""


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

    def open(self, *places: str) -> None:
        """Open files, folders or addresses. Raises LabError in the editor's own words."""
        command = [*self.command, *places]
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
        if not self.kind.ssh_extension:
            return True
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
    said = (output.strip() or "it printed nothing").splitlines()
    return LabError(f"{shlex.join(command)} failed: {said[-1]}")


def is_wsl() -> bool:
    """Return whether this is Linux on Windows."""
    return bool(os.environ.get("WSL_DISTRO_NAME") or os.environ.get("WSL_INTEROP"))


def find_editor(named: str | None = None) -> Editor | None:
    """Return the editor that is named, or that LAB_EDITOR names; else the first of EDITORS.

    That is None if none of them is here. Raises ConfigurationError when what is named is not
    installed.
    """
    if named:
        return _named_editor(named, "--editor")
    variable = os.environ.get("LAB_EDITOR", "").strip()
    if variable:
        return _named_editor(variable, "LAB_EDITOR")
    for kind in EDITORS:
        program = shutil.which(kind.program) or _in_applications(kind)
        if program:
            return Editor(kind=kind, command=(program,))
    return None


def _named_editor(named: str, option: str) -> Editor:
    """Return the editor that an option names: a program, maybe followed by arguments for it."""
    if named == GATEWAY.program:  # it is opened by an address, and may be no program on the PATH
        return Editor(kind=GATEWAY, command=())
    try:
        # A path may hold spaces, and on Windows backslashes.
        words = [named] if Path(named).is_file() else shlex.split(named)
    except ValueError:
        words = [named]
    kind = _kind_of(words[0])
    names = (words[0], *kind.also) if words[0] == kind.program else (words[0],)
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None and words[0] == kind.program:
        program = _in_applications(kind)
    if program is None:
        known = ", ".join(kind.program for kind in (*EDITORS, *ON_DEMAND))
        raise ConfigurationError(
            f"{option} is {named!r}, and no such program is installed.",
            hint=f"Set it to {known} or the path of one of these; or unset it to use the first one "
            "found.",
        )
    return Editor(kind=kind, command=(program, *words[1:]))


def _kind_of(program: str) -> Kind:
    """Return the kind of a program, by its name; one of an unknown name is taken for VS Code."""
    stem = Path(program).name.partition(".")[0]
    known = (*EDITORS, *ON_DEMAND)
    return next((kind for kind in known if stem in (kind.program, *kind.also)), EDITORS[0])


def _in_applications(kind: Kind) -> str | None:
    """Return the program of an application on macOS, where it is rarely on the PATH."""
    if sys.platform != "darwin":
        return None
    contents = Path("/Applications") / f"{kind.name}.app" / "Contents"
    return shutil.which(kind.program.partition("-")[0], path=contents / "Resources" / "app" / "bin")
