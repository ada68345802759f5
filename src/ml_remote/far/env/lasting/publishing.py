"""Output for subscribers without unbounded memory, and without loss for those who read.

A publisher of ZeroMQ drops what a subscriber does not take in time, and counts messages, not bytes.
Here it waits instead: nothing more is taken from the source until the subscribers have read. One
that reads nothing for ten seconds loses what comes then, as with a plain kernel.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import zmq

__all__ = ["Publisher"]

_PATIENCE = 10.0  # seconds for a subscriber that does not read
_MOST = 16 * 1024 * 1024  # bytes that may be under way
_LARGE = 64 * 1024  # bytes from which on a message is counted by its size
_WAITING = 1000  # messages for one subscriber


class Publisher:
    """Sends on a socket of type PUB or XPUB."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        socket.sndhwm = _WAITING
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket = socket
        self._held: deque[list[bytes]] = deque()
        self._under_way: list[tuple[zmq.MessageTracker, int]] = []
        self._full_since = 0.0
        self._patience = _PATIENCE

    def send(self, frames: Sequence[bytes]) -> None:
        """Send a message; for much output only while there `is_free`."""
        self._held.append(list(frames))
        self._try()

    @property
    def is_free(self) -> bool:
        """Whether a message can be sent; repeated calls drop subscribers that do not read."""
        self._try()
        self._under_way = [one for one in self._under_way if not one[0].done]
        if not self._held and sum(size for _, size in self._under_way) < _MOST:
            self._full_since = 0.0
            return True
        now = time.monotonic()
        self._full_since = self._full_since or now
        if now - self._full_since < self._patience:
            return False
        self._give_up()
        return True

    def _try(self) -> None:
        while self._held:
            frames = self._held[0]
            size = sum(map(len, frames))
            try:
                if size < _LARGE:
                    self._socket.send_multipart(frames, zmq.DONTWAIT)
                else:
                    tracker = self._socket.send_multipart(
                        frames, zmq.DONTWAIT, copy=False, track=True
                    )
                    assert tracker is not None
                    self._under_way.append((tracker, size))
            except zmq.Again:
                return
            self._held.popleft()
            if not self._under_way:
                self._patience = _PATIENCE

    def _give_up(self) -> None:
        """Send the stored output to subscribers that read, and drop it for those that do not."""
        self._socket.setsockopt(zmq.XPUB_NODROP, 0)
        while self._held:
            self._socket.send_multipart(self._held.popleft())
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._under_way.clear()
        self._patience = 0.0
