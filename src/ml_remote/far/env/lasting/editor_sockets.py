"""The sockets that the editor expects: those that its connection file names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import zmq

from .messages import Message
from .publishing import Publisher

__all__ = ["CHANNELS", "EditorSockets"]

CHANNELS = ("shell", "control", "stdin")
"""The channels on which requests and replies go both ways."""

_SCHEME = "hmac-sha256"
_LINGER = 500  # milliseconds for the last messages


class EditorSockets:
    """Binds the ports of a connection file. Raises ValueError for one that it does not know."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], file: Path) -> None:
        info = json.loads(file.read_text(encoding="utf-8"))
        if info.get("signature_scheme", _SCHEME) != _SCHEME:
            raise ValueError("messages use an unknown signature scheme")
        self._key = str(info.get("key", "")).encode()
        mark = ":" if info["transport"] == "tcp" else "-"
        address = f"{info['transport']}://{info['ip']}{mark}"
        self.channels: dict[str, zmq.Socket[bytes]] = {}
        for name in CHANNELS:
            self.channels[name] = socket = context.socket(zmq.ROUTER)
            socket.router_handover = True
            socket.sndhwm = socket.rcvhwm = 0
        self.iopub = context.socket(zmq.XPUB)
        self._publisher = Publisher(self.iopub)
        self.heartbeat = context.socket(zmq.REP)
        self.topics: set[bytes] = set()
        for name, socket in [*self.channels.items(), ("iopub", self.iopub), ("hb", self.heartbeat)]:
            socket.linger = _LINGER
            socket.bind(f"{address}{info[f'{name}_port']}")

    @property
    def sockets(self) -> list[zmq.Socket[bytes]]:
        """All of them."""
        return [*self.channels.values(), self.iopub, self.heartbeat]

    @property
    def takes_output(self) -> bool:
        """Whether more output can be sent now."""
        return self._publisher.is_free

    def receive(self, channel: str) -> Iterator[Message]:
        """Yield the messages that wait on a channel; what is not signed by the editor is left."""
        for frames in waiting(self.channels[channel]):
            message = Message.read(frames, self._key)
            if message is not None:
                yield message

    def send(self, channel: str, message: Message) -> None:
        """Send a message to the client that its route names."""
        self.channels[channel].send_multipart(message.frames(self._key))

    def publish(self, message: Message) -> None:
        """Send a message to all subscribers; only while it `takes_output`."""
        self._publisher.send(message.frames(self._key))

    def new_topics(self) -> set[bytes]:
        """Return the topics that somebody subscribes to for the first time."""
        events = [frames[0] for frames in waiting(self.iopub)]
        new = {event[1:] for event in events if event[:1] == b"\1"} - self.topics
        self.topics |= new
        return new

    def answer_heartbeat(self) -> None:
        """Send back what came."""
        self.heartbeat.send(self.heartbeat.recv())


def waiting(socket: zmq.Socket[bytes], *, most: int = 100) -> Iterator[list[bytes]]:
    """Yield what waits on a socket; at most so many messages, so that others have their turn."""
    for _ in range(most):
        try:
            yield socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return
