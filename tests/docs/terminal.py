"""A person at a terminal, who types what a document says and answers what is asked."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from fcntl import ioctl
from pathlib import Path

__all__ = ["CTRL_C", "Answers", "at_terminal"]

CTRL_C = "\x03"

Answers = Sequence[tuple[str, str | Callable[[], str]]]
"""What is seen (a regular expression) and what is then typed."""

# Colours and the like, and what was on a line before it was written again.
_CONTROLS = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\r+(?=\n)|[^\n]*\r(?=[^\n])")
_ROWS, _COLUMNS = 40, 120
_LOOKED_AT = 4096  # bytes: the end of the screen, where questions are


def at_terminal(
    command: Sequence[str | Path],
    *,
    answers: Answers,
    folder: Path,
    variables: Mapping[str, str],
    seconds: float,
) -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and what was on the screen.

    An answer is typed as often as its question comes. Raises TimeoutError with the screen when the
    command has not ended after `seconds`.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(command[0], [str(part) for part in command], dict(variables))
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    screen, answered, deadline = b"", 0, time.monotonic() + seconds
    try:
        while piece := _read(terminal, until=deadline):
            screen += piece
            new = _text(screen[max(answered, len(screen) - _LOOKED_AT) :])
            for question, answer in answers:
                if re.search(question, new):
                    typed = answer if isinstance(answer, str) else answer()
                    os.write(terminal, (typed if typed == CTRL_C else f"{typed}\n").encode())
                    answered = len(screen)
                    break
    except TimeoutError:
        os.killpg(process, signal.SIGKILL)
        raise TimeoutError(f"not at its end after {seconds:.0f} s:\n{_text(screen)}") from None
    finally:
        os.close(terminal)
        _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), _text(screen)


def _read(terminal: int, *, until: float) -> bytes:
    """Return what comes next; nothing when the other side is closed. Raises TimeoutError."""
    ready, _, _ = select.select([terminal], [], [], max(0.0, until - time.monotonic()))
    if not ready:
        raise TimeoutError
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno == errno.EIO:  # Linux's way of saying that the other side is closed
            return b""
        raise


def _text(screen: bytes) -> str:
    return _CONTROLS.sub(b"", screen).decode(errors="replace")
