"""What the tests of the `lab` command share besides fixtures."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from baking import BakedProject
from openssh_server import Laptop, OpenSSHServer
from remote.ssh.client import Client

__all__ = ["SHELLS", "Lab", "ProjectHere", "Workplace", "at_terminal", "files_in"]

SHELLS = ("sh", "bash", "zsh", "fish", "csh", "tcsh")
"""The login shells that people have on a remote machine."""

Lab = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs the `lab` command of a baked project; keyword arguments are environment variables."""


@dataclass(frozen=True)
class ProjectHere:
    """A project on the laptop, and its `lab` command."""

    project: BakedProject

    def lab(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the `lab` command with nobody at the terminal."""
        command = (sys.executable, "-B", "lab.py", *arguments)
        return self.project.run(*command, check=False, **variables)

    def start_lab(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the `lab` command in a session of its own, and return without waiting for it."""
        return subprocess.Popen(
            [sys.executable, "-B", "lab.py", *arguments],
            cwd=self.project.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@dataclass(frozen=True)
class Workplace(ProjectHere):
    """A project on the laptop, and the same, with its environment, on a machine it can reach."""

    folder: Path
    """The project's folder on the machine."""
    server: OpenSSHServer
    client: Client


def files_in(laptop: Laptop) -> dict[str, bytes]:
    """Return every file in the SSH directory with its content, sockets left out."""
    return {
        str(path.relative_to(laptop.ssh)): path.read_bytes()
        for path in sorted(laptop.ssh.rglob("*"))
        if path.is_file()
    }


def at_terminal(
    command: Sequence[str | Path],
    *,
    answers: Mapping[str, str],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    when_shown: tuple[str, Callable[[], None]] | None = None,
) -> tuple[int, str]:
    """Run a command on a terminal of its own, answering its questions; return exit code and screen.

    `answers` maps the end of a question to what is typed; every question is answered once.
    `when_shown` is a text and what to do as soon as it is on the screen.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(command[0], [str(part) for part in command], {**os.environ, **(variables or {})})
    screen = b""
    left = dict(answers)
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        if not piece:
            break
        screen += piece
        if when_shown is not None and when_shown[0].encode() in screen:
            when_shown[1]()
            when_shown = None
        for question, answer in list(left.items()):
            if screen.rstrip().endswith(question.encode()):
                os.write(terminal, f"{answer}\n".encode())
                del left[question]
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), screen.decode(errors="replace")
