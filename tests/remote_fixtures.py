"""What the tests of the `lab` command share besides fixtures."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from openssh_server import Laptop

__all__ = ["Lab", "at_terminal", "files_in"]

Lab = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs the `lab` command of a baked project; keyword arguments are environment variables."""


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
) -> tuple[int, str]:
    """Run a command on a terminal of its own, answering its questions; return exit code and screen.

    `answers` maps the end of a question to what is typed; every question is answered once.
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
        for question, answer in list(left.items()):
            if screen.rstrip().endswith(question.encode()):
                os.write(terminal, f"{answer}\n".encode())
                del left[question]
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), screen.decode(errors="replace")
