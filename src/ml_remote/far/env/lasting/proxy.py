"""One window of the editor: it passes messages on between its ports and a kernel that outlives it.

A spare kernel answers what comes before the lab is known. SIGINT interrupts the kernel. With
SIGTERM, and when the editor's process has gone, the window leaves and the kernel of a lab lives on.
When the kernel ends, so does the window: with exit code 0, or by SIGKILL if the kernel was killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import zmq

from ...login import kernels
from .back import Back
from .beside import Beside, is_cell
from .choosing import enter, file_named, is_restart, lab_of, settle, withdraw
from .front import CHANNELS, Front
from .messages import Message
from .starting import CannotLastError
from .waiting import Signals, watch_process

__all__ = ["Window"]

_PERIOD = 1000  # milliseconds between looks at the parent
_FULL = 3  # milliseconds until the editor may have taken some output
_ATTACHING = 5.0  # seconds for a kernel to answer on its control channel, twice
_LOG_SHOWN = 2000  # bytes of a dead kernel's log


class Window:
    """One window of the editor, and the kernel that it shows."""

    def __init__(
        self, file: Path, spare: kernels.Kernel, *, name: str, host: str, parent: int
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
            self._front = Front(self._context, file)
            self._back = self._connect(self._kernel)
        except BaseException:
            self._leave()
            raise
        self._beside = Beside(self._front)
        self._has_answered = False
        self._looked_at = 0.0

    def show(self, file: Path) -> None:
        """Show the kernel of the lab that is known before the editor asks anything."""
        while not self._back.ask("kernel_info_request", {}, seconds=1.0):
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
            self._back.tell("interrupt_request")

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
        is_free = self._front.takes_output
        for socket in [*self._front.sockets, *self._back.sockets]:
            if is_free or socket is not self._back.iopub:
                poller.register(socket, zmq.POLLIN)
        poller.poll(_PERIOD if is_free else _FULL)

    def _pass_output_on(self) -> None:
        for _ in range(100):
            if not self._front.takes_output:
                return
            message = self._back.output()
            if message is None:
                return
            for request in self._beside.after(message):
                self._back.send("shell", request)
            self._front.publish(message)

    def _pass_on(self) -> None:
        if self._front.heartbeat.poll(0):
            self._front.answer_heartbeat()
        self._back.subscribe(self._front.new_topics())
        self._back.forget_replies()
        for channel in CHANNELS:
            for message in self._back.receive(channel):
                self._has_answered = True
                self._beside.remember(message)
                self._front.send(channel, message)
        for channel in CHANNELS:
            for message in self._front.receive(channel):
                self._pass_request_on(channel, message)

    def _pass_request_on(self, channel: str, message: Message) -> None:
        if channel == "shell":
            if not self._is_settled:
                self._look_for_lab(message)
            if self._remark and is_cell(message):
                said = {"name": "stderr", "text": f"{self._remark}\n"}
                self._front.publish(message.answer("stream", said, topic=b"stream"))
                self._remark = ""
            waiting = self._beside.now(message)
            if waiting is None:
                return
            message = waiting
        self._back.send(channel, message)

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
                    kernels.remove_leftovers()
                    self._keep(lab)
        except OSError as error:
            self._remark = f"This kernel ends with its window: {error}"
            print(self._remark, file=sys.stderr, flush=True)

    def _keep(self, lab: str) -> None:
        """Make the spare kernel the one of the lab."""
        self._kernel = settle(self._kernel, lab)
        self._back.tell("lab_settle_request", {"folder": str(self._kernel.folder), "lab": lab})

    def _attach(self, living: kernels.Kernel) -> bool:
        """Show a kernel that lives, and end the spare one; return False if it has just ended.

        Raises TimeoutError if it does not answer: then the spare one is what the window has.
        """
        back = self._connect(living)
        enter(living.folder, self._name, self._host)
        back.hear(seconds=_ATTACHING)
        about = {"window": self._name, "python": sys.executable}
        told = back.ask("lab_attach_request", about, seconds=_ATTACHING)
        if not told:
            back.close()
            if not kernels.is_alive(living):
                return False
            withdraw(living.folder, self._name, self._host)
            raise TimeoutError(
                f"that of {living.lab} does not answer. Restart ends it and gives a fresh one."
            )
        spare, self._kernel = self._kernel, living
        self._back.close()
        self._back = back
        if self._death is not None:
            os.close(self._death)
        self._death = watch_process(living.pid)
        kernels.end(spare)
        if told["busy_with"]:
            self._beside.begin(back, str(told["busy_with"]), has_subshells=told["has_subshells"])
        return True

    def _connect(self, kernel: kernels.Kernel) -> Back:
        topics = self._front.topics
        return Back(self._context, kernel.folder, window=self._name, topics=topics)

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
    return " ".join(["the kernel that outlives it does not start.", *last])


def end_by(number: int) -> NoReturn:
    """End this process by a signal."""
    sys.stderr.flush()
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)
