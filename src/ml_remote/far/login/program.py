"""Run a command so that no secret is in what it prints, and on a terminal if it is to have one.

    .venv/bin/python .lab/far/current program [--tty] -- python train.py

The exit code is the command's own, 128 + N if a signal ended it. With --tty its output is a
terminal of 80 columns; its input is empty all the same. Python 3.6 is enough.
"""

import errno
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional, Tuple

from .masking import Masker, secret_values

__all__ = ["main"]

PAUSE = 0.5  # seconds without output after which what was held back is written
SIZE = (24, 80)  # lines and columns
MOST = 65536  # bytes that are read at once
SIGNALLED = 128
REST = 5.0  # seconds for what is left of the output once the command has ended


def main(arguments: List[str]) -> int:
    """Run the command that follows `--`; return its exit code."""
    options, command = _split(arguments)
    masker = Masker(secret_values(Path.cwd()))
    reading, writing = _terminal() if "--tty" in options else os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # It gets the signals itself. This process stays to write what it has to say to them.
        signal.signal(number, lambda *_: None)
    try:
        process = _start(command, writing)
    except OSError as error:
        print("{}: {}".format(command[0], error.strerror), file=sys.stderr)
        # The error alone does not tell: an unreadable folder on PATH makes it "permission denied".
        by_path = os.sep in command[0] and Path(command[0]).exists()
        return 126 if by_path or shutil.which(command[0], os.F_OK) else 127
    os.close(writing)
    _pass_on(reading, process, masker)
    code = process.wait()
    return SIGNALLED - code if code < 0 else code


def _start(command: List[str], writing: int) -> "subprocess.Popen[bytes]":
    """Start a command; a script that names no program for itself is one for sh, as in a shell."""
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
    except OSError as error:
        script = shutil.which(command[0])
        if error.errno != errno.ENOEXEC or script is None:
            raise
        return _start(["/bin/sh", script] + command[1:], writing)


def _split(arguments: List[str]) -> Tuple[List[str], List[str]]:
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _terminal() -> Tuple[int, int]:
    """Return both ends of a terminal that leaves the ends of lines as they are."""
    import fcntl
    import pty
    import termios

    reading, writing = pty.openpty()
    settings = termios.tcgetattr(writing)
    settings[1] &= ~termios.ONLCR
    termios.tcsetattr(writing, termios.TCSANOW, settings)
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    os.environ.setdefault("TERM", "xterm-256color")
    return reading, writing


def _pass_on(reading: int, process: "subprocess.Popen[bytes]", masker: Masker) -> None:
    """Write what the command prints until it has ended, or nobody can print any more.

    What it has started may keep its output open for longer, as a server in the background does.
    """
    ended_at = None
    while True:
        has_ended = process.poll() is not None
        if has_ended and ended_at is None:
            ended_at = time.monotonic()
        ready, _, _ = select.select([reading], [], [], 0 if has_ended else PAUSE)
        if not ready or (ended_at is not None and time.monotonic() > ended_at + REST):
            _write(masker.flush())
            if has_ended:
                return
            continue
        piece = _read(reading)
        if not piece:
            _write(masker.flush())
            return
        _write(masker.feed(piece))


def _read(reading: int) -> Optional[bytes]:
    try:
        return os.read(reading, MOST)
    except OSError:  # Linux's way of saying that the other side of a terminal is closed
        return None


def _write(output: bytes) -> None:
    while output:
        output = output[os.write(1, output) :]
