"""The cells of a kernel: which one runs, and for which window."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from ...login.environment.processes import exists, started

__all__ = ["Cells", "lives"]

_MOST_SESSIONS = 200
_HAS_PROC = Path("/proc/self").is_dir()

Execute = Callable[..., Awaitable[None] | None]


class Cells:
    """Wraps ipykernel's handling of requests; `mark` is called when a cell starts.

    A window is its proxy's name. The identity of the proxy's sockets is the same.
    """

    def __init__(self, kernel: Any, mark: Callable[..., None]) -> None:  # noqa: ANN401 - no types
        self.running = ""
        """The id of the request that the main thread works on; empty when it is free."""
        self.window = ""
        """Who has sent it, or the last one."""
        self._mark = mark
        self._asks = False
        self._of_session: dict[str, str] = {}
        handlers = kernel.shell_handlers
        handlers["execute_request"] = self._executing(handlers["execute_request"])
        kernel._input_request = self._asking(kernel._input_request)
        kernel._abort_queues = self._aborting(kernel._abort_queues)

    @property
    def is_busy(self) -> bool:
        """Whether a cell computes; one that waits at a breakpoint does not."""
        return bool(self.running) and not _is_at_breakpoint()

    def is_shown(self, session: str) -> bool:
        """Return whether the window of a client's session is there to show what its cells print."""
        window = self._of_session.get(session)
        return window is None or lives(window)

    def end_vain_question(self) -> None:
        """Interrupt a cell that waits for input from a window that has gone."""
        if self._asks and not lives(self.window):
            os.kill(os.getpid(), signal.SIGINT)

    def _executing(self, execute: Execute) -> Callable[..., Awaitable[None]]:
        async def run(stream: object, ident: Sequence[bytes], parent: dict[str, Any]) -> None:
            header = parent["header"]
            window = bytes(ident[0]).decode("ascii", "replace")
            self._note(header["session"], window)
            is_main = not header.get("subshell_id")
            if is_main:
                self.running, self.window = header["msg_id"], window
                self._mark(busy=True)
            try:
                done = execute(stream, ident, parent)
                if inspect.isawaitable(done):
                    await done
            finally:
                if is_main:
                    self.running = ""
                    self._mark(busy=False)

        return run

    def _asking(self, ask: Callable[..., str]) -> Callable[..., str]:
        def wait(*words: object, **options: object) -> str:
            self._asks = True
            try:
                return ask(*words, **options)
            finally:
                self._asks = False

        return wait

    def _aborting(self, abort: Callable[..., None]) -> Callable[..., None]:
        def abort_own(*words: object) -> None:
            # The cells that wait are another window's: they do not depend on the one that failed.
            if lives(self.window):
                abort(*words)

        return abort_own

    def _note(self, session: str, window: str) -> None:
        self._of_session.pop(session, None)
        self._of_session[session] = window
        while len(self._of_session) > _MOST_SESSIONS:
            del self._of_session[next(iter(self._of_session))]


def _is_at_breakpoint() -> bool:
    """Return whether the debugger holds the main thread: only its window could let it continue."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "do_wait_suspend" and Path(code.co_filename).name == "pydevd.py":
            return True
        frame = frame.f_back
    return False


def lives(window: str) -> bool:
    """Return whether the proxy of a window is there; asked for each output, so it must be quick."""
    pid, _, start = window.partition("-")
    if not pid.isdigit():
        return False
    return started(int(pid)) == start if _HAS_PROC else exists(int(pid))
