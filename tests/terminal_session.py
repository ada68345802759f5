"""A person at a terminal in which a command runs on, while the test does something else."""

from __future__ import annotations

import os
import pty
import re
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

__all__ = ["Answers", "TerminalSession", "terminal_session"]

Answers = Mapping[str, str | Callable[[], str]]
"""What is asked (a regular expression for the end of the screen), and what is typed then."""

_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\r")
_ROWS, _COLUMNS = 40, 120
_LIMIT = 120.0  # seconds


class TerminalSession:
    """The terminal. A question is answered as often as it comes."""

    def __init__(self, process: int, terminal: int, answers: Answers) -> None:
        self._process, self._terminal, self._answers = process, terminal, answers
        self._said = ""
        self._code: int | None = None
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def screen(self) -> str:
        """All that was on the screen so far."""
        return _CONTROLS.sub("", self._said)

    def wait_for(self, pattern: str, *, times: int = 1, limit: float = _LIMIT) -> re.Match[str]:
        """Wait until the screen has shown the pattern so many times; return the last match."""
        deadline = time.monotonic() + limit
        while len(found := list(re.finditer(pattern, self.screen))) < times:
            assert self._reader.is_alive(), f"it ended without {pattern!r}:\n{self.screen}"
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.screen}"
            time.sleep(0.05)
        return found[times - 1]

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._terminal, b"\x03")

    def wait(self, *, limit: float = _LIMIT) -> int:
        """Wait for the command's end; return its exit code."""
        self._reader.join(limit)
        assert self._code is not None, f"not at its end after {limit:.0f} s:\n{self.screen}"
        return self._code

    def end(self) -> None:
        """Close the terminal; kill what runs in it."""
        if self._code is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process, signal.SIGKILL)
        self._reader.join()
        os.close(self._terminal)

    def _read(self) -> None:
        answered = 0
        while True:
            try:
                piece = os.read(self._terminal, 65536)
            except OSError:  # Linux's way of saying that the other side is closed
                break
            if not piece:
                break
            self._said += piece.decode(errors="replace")
            new = _CONTROLS.sub("", self._said[answered:])
            for question, answer in self._answers.items():
                if re.search(rf"(?:{question})\s*\Z", new):
                    typed = answer if isinstance(answer, str) else answer()
                    answered = len(self._said)
                    os.write(self._terminal, f"{typed}\n".encode())
                    break
        self._code = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])


@contextmanager
def terminal_session(
    command: Sequence[str | Path],
    *,
    answers: Answers,
    folder: Path,
    variables: Mapping[str, str] | None = None,
) -> Iterator[TerminalSession]:
    """Yield a command that runs on a terminal of its own, and ends with the block."""
    environment = {**os.environ, "TERM": "xterm-256color", **(variables or {})}
    for name in ("COLUMNS", "LINES"):  # set by pytest-xdist
        environment.pop(name, None)
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(command[0], [str(part) for part in command], environment)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    session = TerminalSession(process, terminal, answers)
    try:
        yield session
    finally:
        session.end()
