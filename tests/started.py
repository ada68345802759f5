"""Programs that a test starts and does not wait for: they end with the test at the latest."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["end_started", "read_until", "start_in_session"]

_started: list[subprocess.Popen[str]] = []


def start_in_session(command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """Start a command in a session of its own; what it prints, errors too, is to be read.

    It ends with the test at the latest.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _started.append(process)
    return process


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read what the process prints until a line with `text` comes; return all that was read."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"It ended without {text!r}: {said}")


def end_started() -> None:
    """End what `start_in_session` has started and a test that failed has not ended."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
