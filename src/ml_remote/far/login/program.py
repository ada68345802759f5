"""Run a command so that no secret is in what it prints, and on a terminal if it is to have one.

    .venv/bin/python .lab/far/current program [--tty] -- python train.py

The exit code is the command's own, 128 + N if a signal ended it. With --tty its output is a
terminal of 80 columns; its input is empty all the same. Python 3.6 is enough.
"""

import os
import select
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import List, Optional, Tuple

from .masking import Masker, secret_values

__all__ = ["main"]

PAUSE = 0.5  # seconds without output after which what was held back is written
SIZE = (24, 80)  # lines and columns
MOST = 65536  # bytes that are read at once
SIGNALLED = 128


def main(arguments: List[str]) -> int:
    """Run the command that follows `--`; return its exit code."""
    options, command = _split(arguments)
    masker = Masker(secret_values(Path.cwd()))
    reading, writing = _terminal() if "--tty" in options else os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # It gets the signals itself. This process stays to write what it has to say to them.
        signal.signal(number, lambda *_: None)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing
        )
    except OSError as error:
        print("{}: {}".format(command[0], error.strerror), file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126
    os.close(writing)
    _pass_on(reading, process, masker)
    code = process.wait()
    return SIGNALLED - code if code < 0 else code


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
    while True:
        has_ended = process.poll() is not None
        ready, _, _ = select.select([reading], [], [], 0 if has_ended else PAUSE)
        if not ready:
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
