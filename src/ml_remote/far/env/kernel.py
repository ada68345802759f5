"""Start an IPython kernel that listens on no TCP port; kernels.py starts it.

With the transport `ipc` a kernel talks to Jupyter over Unix sockets, and yet ipykernel opens one
TCP port: there it takes what forked processes print (ipykernel/iostream.py). Here that is a socket,
too, beside the connection file, where only its owner can reach it.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import zmq
from ipykernel import kernelapp
from ipykernel.iostream import IOPubThread
from zmq.eventloop.zmqstream import ZMQStream

from ..login.checkout import use_checkout
from .card import say_after_import


def main(arguments: list[str]) -> int:
    """Run the kernel that the arguments, those of ipykernel_launcher, ask for."""
    paths = use_checkout()
    hide_far_half()
    sys.path[:0] = paths  # where PYTHONPATH would put them
    kernelapp.IOPubThread = PrivateIOPubThread
    app = kernelapp.IPKernelApp.instance()
    app.initialize(arguments)
    app.log.addFilter(is_told)
    say_after_import(app.shell.events)
    app.start()
    return 0


def is_told(record: logging.LogRecord) -> bool:
    """Return whether a message is for people: Jupyter interrupts every kernel before it ends it."""
    return "KeyboardInterrupt caught in kernel" not in record.getMessage()


def hide_far_half() -> None:
    """Prevent cells from importing the far half by accident; loaded modules remain usable."""
    sys.path.pop(0)
    for name in [name for name in sys.modules if name.partition(".")[0] == "ml_remote"]:
        del sys.modules[name]


class PrivateIOPubThread(IOPubThread):
    """Sends a kernel's output, and takes that of forked processes from a Unix socket."""

    def _setup_pipe_in(self) -> None:
        self._pipe_uuid = os.urandom(16)  # what is not marked with it is refused
        receiver = self.socket.context.socket(zmq.PULL)
        receiver.linger = 0
        receiver.bind(forked_address())
        self._pipe_in = ZMQStream(receiver, self.io_loop)
        self._pipe_in.on_recv(self._handle_pipe_msg)

    def _setup_pipe_out(self) -> tuple[Any, Any]:
        context = zmq.Context()  # a forked process may not use the one of its parent
        sender = context.socket(zmq.PUSH)
        sender.linger = 3000  # milliseconds until it gives up at the end of the process
        sender.connect(forked_address())
        return context, sender


def forked_address() -> str:
    """Return where forked processes send what they print: beside the connection file."""
    file = Path(kernelapp.IPKernelApp.instance().abs_connection_file)
    return f"ipc://{file.with_suffix('')}-forked"
