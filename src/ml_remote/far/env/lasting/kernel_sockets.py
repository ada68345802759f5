"""The proxy's sockets to one kernel."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zmq

from .editor_sockets import CHANNELS, waiting
from .messages import Message, request

__all__ = ["KernelSockets"]

_QUEUED = 20  # messages of output that are taken before the editor has had them
_RETRY = 10  # milliseconds between attempts to reach a kernel that has not begun to listen
_ECHO = 100  # milliseconds until a request is repeated that was not seen in the output


class KernelSockets:
    """Connects to the kernel whose folder this is.

    The identity is the same on shell and stdin: by it the kernel finds whom to ask for input.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        folder: Path,
        *,
        window: str,
        topics: Iterable[bytes],
    ) -> None:
        info = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
        self._key = info["key"].encode()
        self.channels: dict[str, zmq.Socket[bytes]] = {}
        self.iopub = context.socket(zmq.SUB)
        self.own = context.socket(zmq.DEALER)
        for name in CHANNELS:
            self.channels[name] = socket = context.socket(zmq.DEALER)
            socket.identity = window.encode()
            socket.sndhwm = socket.rcvhwm = 0
        self.iopub.rcvhwm = _QUEUED
        places = [*self.channels.items(), ("iopub", self.iopub), ("control", self.own)]
        for name, socket in places:
            socket.linger = 0
            socket.reconnect_ivl = _RETRY
            socket.connect(f"ipc://{info['ip']}-{info[f'{name}_port']}")
        self._topics: set[bytes] = set()
        self.subscribe(topics)

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """All of them."""
        return [*self.channels.values(), self.iopub, self.own]

    def subscribe(self, topics: Iterable[bytes]) -> None:
        """Subscribe to the output of these topics."""
        for topic in topics:
            self._topics.add(topic)
            self.iopub.subscribe(topic)

    def send(self, channel: str, message: Message) -> None:
        """Send a client's request."""
        self.channels[channel].send_multipart(message.frames(self._key))

    def receive(self, channel: str) -> Iterator[Message]:
        """Yield the messages for clients that wait on a channel."""
        yield from self._read(self.channels[channel])

    def output(self) -> Message | None:
        """Return the next output, if there is any."""
        return next(self._read(self.iopub, most=1), None)

    def tell(self, kind: str, content: dict[str, Any] | None = None) -> str:
        """Send a request of the proxy's own on the control channel; return its id."""
        message = request(kind, content or {})
        self.own.send_multipart(message.frames(self._key))
        return str(message.header["msg_id"])

    def forget_replies(self) -> None:
        """Drop the answers to what was told."""
        for _ in waiting(self.own):
            pass

    def hear(self, *, seconds: float) -> None:
        """Wait until the kernel's output arrives; what comes before is left out."""
        deadline = time.monotonic() + seconds
        asked: set[str] = set()
        while self._topics and time.monotonic() < deadline:
            # Each request is in the output as well, if the subscription was there before it.
            asked.add(self.tell("kernel_info_request"))
            if self.iopub.poll(_ECHO):
                for message in self._read(self.iopub):
                    if message.parent.get("msg_id") in asked:
                        return

    def ask(self, kind: str, content: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        """Send a request of the proxy's own; return the content of the reply, empty if none came.

        Output waits meanwhile.
        """
        deadline = time.monotonic() + seconds
        asked = self.tell(kind, content)
        while (left := deadline - time.monotonic()) > 0 and self.own.poll(left * 1000):
            for message in self._read(self.own):
                if message.parent.get("msg_id") == asked:
                    return message.content
        return {}

    def close(self) -> None:
        """Leave the kernel."""
        for socket in self.sockets:
            socket.close(0)

    def _read(self, socket: zmq.Socket[bytes], *, most: int = 100) -> Iterator[Message]:
        for frames in waiting(socket, most=most):
            message = Message.read(frames, self._key)
            if message is not None:
                yield message
