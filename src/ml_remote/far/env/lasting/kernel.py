"""Run a kernel that does not end with a window; starting.py starts it.

.venv/bin/python .lab/far/<hash> lasting-kernel FOLDER ROOT WINDOW
"""

from __future__ import annotations

import importlib.util
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ipykernel import kernelapp

from ..card import say_after_import
from ..kernel import PrivateIOPubThread, hide_far_half
from .life import Life
from .output import Record
from .publishing import Publisher

__all__ = ["main"]

_PAUSE = 0.003  # seconds until the proxy may have taken some output
_WAITING = 1000  # messages that may wait before a cell does


def main(arguments: list[str]) -> int:
    """Run the kernel in this folder until it is told to end."""
    folder, root, window = arguments
    hide_far_half()
    kernelapp.IOPubThread = LastingIOPubThread
    file = f"{folder}/kernel.json"
    # Some packages look here for whether they are in a notebook.
    launcher = importlib.util.find_spec("ipykernel_launcher")
    sys.argv = [launcher.origin if launcher and launcher.origin else sys.argv[0], "-f", file]
    app = kernelapp.IPKernelApp.instance()
    app.initialize(["-f", file])
    life = Life(app, Path(folder), root, window)
    app.iopub_thread.record = life.record
    say_after_import(app.shell.events)
    life.watch()
    app.start()
    life.finish()
    return 0


class LastingIOPubThread(PrivateIOPubThread):
    """Sends a kernel's output with bounded memory, and keeps the end of it."""

    record: Record | None = None
    _publisher: Publisher | None = None

    def _really_send(self, msg: list[Any], *args: object, **kwargs: object) -> None:
        if self.closed or not self._is_master_process():
            super()._really_send(msg, *args, **kwargs)
            return
        if self._publisher is None:
            self._publisher = Publisher(self.socket)
        if self.record is not None:
            with suppress(
                ValueError, KeyError, TypeError, AttributeError
            ):  # it is sent all the same
                self.record.add(msg)
        while not self._publisher.is_free:
            time.sleep(_PAUSE)
        self._publisher.send([bytes(frame) for frame in msg])
