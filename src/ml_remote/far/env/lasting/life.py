"""What a kernel knows of its windows and its cells, and when it ends."""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ipykernel.kernelapp import IPKernelApp

from ...login import kernels
from ...login.environment.signs import Sign
from ...login.kernel_rules import card_memory, is_on_card, read_rules, why_it_ends
from .cells import Cells, lives
from .kernel_info import connected, count_variables, describe
from .output import OWN, Record

__all__ = ["Life"]

_SPARE_PERIOD = 1.0  # seconds between looks at the window of a spare kernel
_PERIOD = 20.0  # seconds between looks at the rules
_HOUR = 3600.0
_REST = 5.0  # seconds for a kernel to end in an orderly way
_LONGEST_LOG = 1_000_000  # bytes


class Life:
    """The windows of a kernel, and its end.

    Cells run in the main thread, requests of the proxies in the control thread, output in a third
    one; each attribute is written by one of them.
    """

    def __init__(self, app: IPKernelApp, folder: Path, root: str, window: str) -> None:
        self._app = app
        self._kernel = app.kernel
        self._folder = folder
        self._root = root
        self._far = Path(__file__).resolve().parents[4]
        self._windows = {window}
        self._to_greet: dict[str, str] = {}  # windows, and which Python they would start
        self._is_over = False
        self._sign = Sign(Path(sys.prefix).resolve())
        self._touched = time.monotonic()
        self._looked_after = self._touched - _PERIOD
        self._cells = Cells(app.kernel, self._mark)
        self.record = Record(self._cells.is_shown)
        self._kernel.control_handlers["lab_settle_request"] = self._settle
        self._kernel.control_handlers["lab_attach_request"] = self._attach
        for handlers in (self._kernel.control_handlers, self._kernel.shell_handlers):
            handlers["shutdown_request"] = self._obeying(handlers["shutdown_request"])
        app.shell.events.register("pre_run_cell", self._greet)
        app.shell.register_magic_function(self._magic, "line", "kernel")

    def watch(self) -> None:
        """Start a thread that watches the folder, and ends the kernel when nobody needs it."""
        _start(threading.Thread(target=self._watch, name="lab"))

    def finish(self) -> None:
        """Hide this kernel from new windows, and ensure that it ends, whatever it is doing.

        A cell may take no interrupt, and a thread that one has started may never end.
        """
        about = self._about
        if about is not None:
            kernels.remove(self._folder, about)
        with suppress(OSError):
            self._sign.withdraw()
        if not self._is_over:
            self._is_over = True
            _start(threading.Timer(_REST, os._exit, [0]))

    @property
    def _about(self) -> kernels.Kernel | None:
        """What the folder says of this kernel; None if it is gone, or a fresh kernel has it."""
        about = kernels.read_kernel(self._folder)
        return about if about is not None and about.pid == os.getpid() else None

    def _obeying(self, shut_down: Callable[..., Awaitable[None] | None]) -> Callable[..., object]:
        async def obey(*words: object) -> None:
            self.finish()
            done = shut_down(*words)
            if inspect.isawaitable(done):
                await done

        return obey

    def _settle(self, stream: object, ident: object, parent: dict[str, Any]) -> None:
        """Take over as the kernel of a lab: the proxy has renamed the folder."""
        self._folder = Path(parent["content"]["folder"])
        self._app.connection_file = str(self._folder / "kernel.json")
        self._kernel.session.send(stream, "lab_settle_reply", {"status": "ok"}, parent, ident)

    def _attach(self, stream: object, ident: object, parent: dict[str, Any]) -> None:
        window = parent["content"]["window"]
        self._windows.add(window)
        self._to_greet[window] = str(parent["content"].get("python", sys.executable))
        content = {
            "status": "ok",
            "busy_with": self._cells.running,
            "has_subshells": bool(getattr(self._kernel, "_supports_kernel_subshells", False)),
        }
        self._kernel.session.send(stream, "lab_attach_reply", content, parent, ident)

    def _mark(self, *, busy: bool) -> None:
        with suppress(OSError):
            if busy:
                (self._folder / "busy").touch()
            else:
                (self._folder / "busy").unlink(missing_ok=True)
                (self._folder / "used").touch()

    def _greet(self, info: object) -> None:
        """Print, before a window's first cell, which kernel it is connected to."""
        if self._cells.window not in self._to_greet or not getattr(info, "store_history", False):
            return
        python = self._to_greet.pop(self._cells.window)
        kernel = self._about
        if kernel is not None:
            unseen = self.record.lines(unseen=True)
            self._say(
                connected(
                    kernel,
                    variables=self._variables,
                    unseen=unseen,
                    is_outdated=python != sys.executable,
                )
            )
            self.record.count_as_seen()

    def _magic(self, _line: str) -> None:
        """Show what this kernel printed lately, and which others there are."""
        kernel = self._about
        if kernel is None:
            self._say("This kernel's folder is gone, so no new window can find it.\n")
            return
        others = [one for one in kernels.list_kernels() if one.pid != kernel.pid]
        lines = self.record.lines()
        self._say(describe(kernel, variables=self._variables, lines=lines, others=others))

    @property
    def _variables(self) -> int:
        shell = self._app.shell
        return count_variables(shell.user_ns, shell.user_ns_hidden)

    def _say(self, text: str) -> None:
        """Print before all that the cell prints; it is no part of the record."""
        sys.stdout.flush()
        kernel = self._kernel
        kernel.session.send(
            kernel.iopub_socket,
            "stream",
            {"name": "stdout", "text": text},
            parent=kernel.get_parent("shell"),
            ident=kernel._topic("stream.stdout"),
            metadata=OWN,
        )

    def _watch(self) -> None:
        while True:
            time.sleep(_SPARE_PERIOD)
            try:
                self._look()
            except Exception:  # what fails now may not fail the next time
                traceback.print_exc(file=sys.__stderr__)

    def _look(self) -> None:
        self._windows = {window for window in self._windows if lives(window)}
        self._cells.end_vain_question()
        about = self._about
        if about is not None and not about.lab:
            if not self._windows:  # no other window could find it, whatever runs
                self._end()
        elif about is None:
            if not self._windows and not self._cells.is_busy:
                self._end()
        elif time.monotonic() - self._looked_after > _PERIOD:
            self._looked_after = time.monotonic()
            self._look_after(about)

    def _look_after(self, about: kernels.Kernel) -> None:
        shown = bool(self._windows) or kernels.is_shown(about)
        if shown:
            with suppress(OSError):
                (self._folder / "used").touch()
        for path in (self._folder / "windows").glob("*"):
            if not kernels.is_running(path.name):  # it was killed, and did not withdraw
                path.unlink(missing_ok=True)
        with suppress(OSError):  # the environment may be somebody else's
            self._sign.give()
        if time.monotonic() - self._touched > _HOUR:
            self._touched = time.monotonic()
            self._touch()
        with suppress(OSError):
            if (self._folder / "log").stat().st_size > _LONGEST_LOG:
                os.truncate(self._folder / "log", 0)
        reason = why_it_ends(
            read_rules(Path(self._root)),
            shown=shown,
            busy=self._cells.is_busy,
            unused_seconds=time.time() - kernels.used_at(about),
            on_card=lambda: is_on_card(about, card_memory()),
        )
        if reason:
            # A window that has just found this kernel holds the lock, or is noted by now.
            with suppress(TimeoutError), kernels.lock(about.folder.name, patience=0):
                if kernels.is_shown(about):
                    return
                print(reason, file=sys.__stderr__, flush=True)
                self._end()

    def _touch(self) -> None:
        """Protect files in use from clean-ups by age, in /tmp and among the far halves."""
        kept = [path for path in self._folder.rglob("*") if path.name != "used"]
        for path in [self._folder.parent, self._folder, *kept, self._far]:
            with suppress(OSError):
                os.utime(path)

    def _end(self) -> None:
        """End in an orderly way if the main thread is free, else in any way."""
        if not self._is_over:
            self.finish()
            loop = self._kernel.io_loop
            loop.add_callback(loop.stop)


def _start(thread: threading.Thread) -> None:
    """Start a thread that the debugger neither stops nor slows down."""
    thread.daemon = True
    thread.pydev_do_not_trace = True  # type: ignore[attr-defined]
    thread.is_pydev_daemon_thread = True  # type: ignore[attr-defined]
    thread.start()
