"""One window of the editor: it passes messages on between its ports and a kernel that outlives it.

A spare kernel answers what comes before the lab is known. SIGINT interrupts the kernel. With
SIGTERM, and when the editor's process has gone, the window leaves and the kernel of a lab lives on.
When the kernel ends, so does the window: with exit code 0, or by SIGKILL if the kernel was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import zmq

from ...login import kernel_leftovers, kernels
from .before_setup import Waiting, start_kernel_of
from .choosing import enter, file_named, is_restart, lab_of, settle, withdraw
from .during_cell import DuringCell, is_cell
from .editor_sockets import CHANNELS, EditorSockets
from .kernel_sockets import KernelSockets
from .messages import Message
from .starting import CannotLastError, in_words
from .waiting import Signals, watch_process

__all__ = ["Window"]

_PERIOD = 1000  # milliseconds between looks at the parent
_FULL = 3  # milliseconds until the editor may have taken some output
_STARTING = 30.0  # seconds for a fresh kernel to be heard
_ATTACHING = 5.0  # seconds for a kernel to answer on its control channel, twice
_LOG_SHOWN = 2000  # bytes of a dead kernel's log


class Window:
    """One window of the editor, and the kernel that it shows."""

    def __init__(
        self,
        file: Path,
        spare: kernels.Kernel,
        *,
        name: str,
        host: str,
        parent: int,
        waits: bool = False,
    ) -> None:
        self._kernel = spare
        self._name, self._host = name, host
        self._root = Path(spare.root)
        self._parent = parent
        self._is_settled = False  # the lab is known, or there is none
        self._remark = ""  # what the first cell says
        self._signals = Signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._death = watch_process(self._kernel.pid)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._editor = EditorSockets(self._context, file)
            self._kernel_sockets = self._connect(self._kernel)
        except BaseException:
            self._leave()
            raise
        self._during_cell = DuringCell(self._editor)
        self._waiting = Waiting(self._editor, self._root) if waits else None
        self._python = sys.executable
        self._has_answered = False
        self._looked_at = 0.0

    def show(self, file: Path) -> None:
        """Show the kernel of the lab that is known before the editor asks anything."""
        while not self._kernel_sockets.ask("kernel_info_request", {}, seconds=1.0):
            if self._has_kernel_ended():
                raise CannotLastError(_did_not_start(""))
        self._choose(str(file))

    def run(self) -> int:
        """Pass messages on until the window or the kernel has ended; return the exit code."""
        try:
            while True:
                self._wait()
                if os.getppid() != self._parent:
                    self._leave()
                    return 0
                self._obey_signals()
                if self._has_kernel_ended():
                    return self._end_with_kernel()
                self._pass_output_on()
                self._pass_on()
                if self._waiting is not None:
                    self._look_for_environment(self._waiting)
        except CannotLastError:
            raise
        except Exception:
            self._leave()
            if not self._has_answered:
                raise
            traceback.print_exc()
            return 1

    def _obey_signals(self) -> None:
        for number in self._signals.taken():
            if number != signal.SIGINT:
                self._leave()
                end_by(number)
            self._kernel_sockets.tell("interrupt_request")
            if self._waiting is not None:
                self._waiting.cancel()

    def _has_kernel_ended(self) -> bool:
        if self._death is not None:
            return bool(zmq.select([self._death], [], [], 0)[0])
        if time.monotonic() - self._looked_at < 1:
            return False
        self._looked_at = time.monotonic()
        return not kernels.is_alive(self._kernel)

    def _wait(self) -> None:
        poller = zmq.Poller()
        poller.register(self._signals.descriptor, zmq.POLLIN)
        if self._death is not None:
            poller.register(self._death, zmq.POLLIN)
        is_free = self._editor.takes_output
        for socket in [*self._editor.sockets, *self._kernel_sockets.sockets]:
            if is_free or socket is not self._kernel_sockets.iopub:
                poller.register(socket, zmq.POLLIN)
        poller.poll(_PERIOD if is_free else _FULL)

    def _pass_output_on(self) -> None:
        for _ in range(100):
            if not self._editor.takes_output:
                return
            message = self._kernel_sockets.output()
            if message is None:
                return
            for request in self._during_cell.after(message):
                self._kernel_sockets.send("shell", request)
            self._editor.publish(message)

    def _pass_on(self) -> None:
        if self._editor.heartbeat.poll(0):
            self._editor.answer_heartbeat()
        self._kernel_sockets.subscribe(self._editor.new_topics())
        self._kernel_sockets.forget_replies()
        for channel in CHANNELS:
            for message in self._kernel_sockets.receive(channel):
                self._has_answered = True
                self._during_cell.remember(message)
                self._editor.send(channel, message)
        for channel in CHANNELS:
            for message in self._editor.receive(channel):
                self._pass_request_on(channel, message)

    def _pass_request_on(self, channel: str, message: Message) -> None:
        if channel == "shell":
            if self._waiting is not None and self._waiting.takes(message):
                return
            if not self._is_settled and self._waiting is None:
                self._look_for_lab(message)
            if self._remark and is_cell(message):
                said = {"name": "stderr", "text": f"{self._remark}\n"}
                self._editor.publish(message.answer("stream", said, topic=b"stream"))
                self._remark = ""
            waiting = self._during_cell.now(message)
            if waiting is None:
                return
            message = waiting
        self._kernel_sockets.send(channel, message)

    def _look_for_environment(self, waiting: Waiting) -> None:
        """Switch to the complete environment, once it has replaced the first one."""
        python = waiting.python
        if python is None:
            waiting.tell()
            for cell in waiting.give_up():
                self._kernel_sockets.send("shell", cell)
            return
        self._waiting, self._python = None, str(python)
        try:
            kernel = start_kernel_of(python, self._root, self._name)
            enter(kernel.folder, self._name, self._host)
            sockets = self._connect(kernel)
            sockets.hear(seconds=_STARTING)
            self._take(kernel, sockets)
        except (OSError, subprocess.SubprocessError) as error:
            self._remark = f"This kernel cannot use the project's packages: {error}"
        if waiting.file:
            self._choose(waiting.file)
        for request in waiting.end():
            self._pass_request_on("shell", request)

    def _look_for_lab(self, message: Message) -> None:
        """Choose the kernel once the lab is known; a person's own cell comes too late to say it."""
        file = file_named(message)
        if file:
            self._choose(file)
        elif is_cell(message):
            self._is_settled = True

    def _choose(self, file: str) -> None:
        self._is_settled = True
        lab = lab_of(self._root, file)
        if not lab:  # nothing by which the next window could find it
            return
        try:
            with kernels.lock(kernels.id_of(str(self._root), lab)):
                living = kernels.find(str(self._root), lab)
                if living is not None and is_restart(living, self._name, self._host):
                    kernels.end(living)
                    living = None
                if living is None or not self._attach(living):
                    kernel_leftovers.remove_leftovers()
                    self._keep(lab)
        except OSError as error:
            self._remark = f"This kernel ends with its window: {in_words(error)}"
            print(self._remark, file=sys.stderr, flush=True)

    def _keep(self, lab: str) -> None:
        """Make the spare kernel the one of the lab."""
        self._kernel = settle(self._kernel, lab)
        self._kernel_sockets.tell(
            "lab_settle_request", {"folder": str(self._kernel.folder), "lab": lab}
        )

    def _attach(self, living: kernels.Kernel) -> bool:
        """Show a kernel that lives, and end the spare one; return False if it has just ended.

        Raises TimeoutError if it does not answer: then the spare one is what the window has.
        """
        sockets = self._connect(living)
        enter(living.folder, self._name, self._host)
        sockets.hear(seconds=_ATTACHING)
        about = {"window": self._name, "python": self._python}
        told = sockets.ask("lab_attach_request", about, seconds=_ATTACHING)
        if not told:
            sockets.close()
            if not kernels.is_alive(living):
                return False
            withdraw(living.folder, self._name, self._host)
            raise TimeoutError(
                f"the kernel of {living.lab} does not answer. Restart replaces it with a fresh one."
            )
        self._take(living, sockets)
        if told["busy_with"]:
            self._during_cell.begin(
                sockets, str(told["busy_with"]), has_subshells=told["has_subshells"]
            )
        return True

    def _take(self, kernel: kernels.Kernel, sockets: KernelSockets) -> None:
        """Show this kernel, and end the spare one."""
        spare, self._kernel = self._kernel, kernel
        self._kernel_sockets.close()
        self._kernel_sockets = sockets
        if self._death is not None:
            os.close(self._death)
        self._death = watch_process(kernel.pid)
        kernels.end(spare)

    def _connect(self, kernel: kernels.Kernel) -> KernelSockets:
        topics = self._editor.topics
        return KernelSockets(self._context, kernel.folder, window=self._name, topics=topics)

    def _leave(self) -> None:
        """Leave the kernel of a lab as it is; one without a lab ends with its window."""
        with suppress(OSError):
            withdraw(self._kernel.folder, self._name, self._host)
        if not self._kernel.lab:
            kernels.end(self._kernel)
        self._context.destroy(linger=0)

    def _end_with_kernel(self) -> int:
        """End as the kernel did. One that ends by itself takes its folder away."""
        self._pass_output_on()
        self._pass_on()
        left = kernels.read_kernel(self._kernel.folder)
        was_killed = left is not None and left.pid == self._kernel.pid
        log = ""
        if was_killed:
            with suppress(OSError):
                log = (self._kernel.folder / "log").read_text(errors="replace")[-_LOG_SHOWN:]
            kernels.end(self._kernel)
        if not self._has_answered:
            self._context.destroy(linger=0)
            raise CannotLastError(_did_not_start(log))
        sys.stderr.write(log)
        self._context.destroy(linger=500)
        if was_killed:
            end_by(signal.SIGKILL)
        return 0


def _did_not_start(log: str) -> str:
    last = [line for line in log.splitlines() if line.strip()][-1:]
    return " ".join(["the kernel that would outlive it does not start.", *last])


def end_by(number: int) -> NoReturn:
    """End this process by a signal."""
    sys.stderr.flush()
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)
