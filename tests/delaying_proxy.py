"""A stretch of network between the laptop and the server on which everything takes its time.

It delays what is sent, in both directions alike, and limits nothing else: what `tc netem delay`
does, without root and without its module of the kernel. A new connection waits, too, as TCP's
handshake does.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from passing_proxy import PassingProxy, listening

__all__ = ["DelayingProxy", "delaying_proxy"]


@dataclass
class DelayingProxy(PassingProxy):
    """Passes on everything later."""

    round_trip: float = 0.0
    """Seconds from a question to its answer, where the answer takes no time."""
    connections: int = 0
    """How many the laptop has made so far."""
    exchanges: int = 0
    """How often the laptop has sent something after an answer: about a round trip each."""

    def pass_on(self, laptop: socket.socket, server: socket.socket) -> None:
        """Pass on what comes, in two threads for each direction."""
        for end in (laptop, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        # Of TCP's handshake one round trip passes before the laptop may send anything.
        answered = threading.Event()
        answered.set()
        self._pass_on(laptop, server, answered, first=self.round_trip)
        self._pass_on(server, laptop, answered)

    def _pass_on(
        self,
        source: socket.socket,
        target: socket.socket,
        answered: threading.Event,
        first: float | None = None,
    ) -> None:
        """Start two threads that pass on data: one reads it, the other sends it when it is due.

        `answered` is set while the laptop has been sent something since it last sent something.
        `first` is how much later the connection begins, in seconds, if the laptop is the source.
        """
        due: queue.Queue[tuple[float, bytes]] = queue.Queue()
        begin = time.monotonic() + (first or 0.0)

        def read() -> None:
            data = b"-"
            while data:
                try:
                    data = source.recv(65536)
                except OSError:
                    data = b""
                if first is not None and data and answered.is_set():
                    answered.clear()
                    self.exchanges += 1
                due.put((max(begin, time.monotonic()) + self.round_trip / 2, data))

        def send() -> None:
            with suppress(OSError):
                while True:
                    when, data = due.get()
                    time.sleep(max(0.0, when - time.monotonic()))
                    if not data:
                        break
                    if first is None:
                        answered.set()
                    target.sendall(data)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

        for work in (read, send):
            threading.Thread(target=work, daemon=True).start()


@contextmanager
def delaying_proxy(server_port: int) -> Iterator[DelayingProxy]:
    """Yield a proxy before the server that listens on `server_port` of loopback."""
    proxy = DelayingProxy(server_port=server_port)
    with listening(proxy):
        yield proxy
