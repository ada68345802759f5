"""Descriptors that become ready when a signal arrives or a process ends."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

__all__ = ["Signals", "watch_process"]


class Signals:
    """Receives signals, to be handled when the loop has time for them."""

    def __init__(self, *numbers: int) -> None:
        self.descriptor, writing = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(writing, False)
        for number in numbers:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def taken(self) -> list[int]:
        """Return the signals that have come since."""
        with suppress(BlockingIOError):
            return list(os.read(self.descriptor, 100))
        return []


def watch_process(pid: int) -> int | None:
    """Return a descriptor that can be read once the process has ended; None where there is none."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # it has ended already, or the system is older
        return None
