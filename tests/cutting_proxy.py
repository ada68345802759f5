"""A stretch of network between the laptop and the server that counts bytes and can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from passing_proxy import PassingProxy, listening

__all__ = ["CuttingProxy", "cutting_proxy"]


@dataclass
class CuttingProxy(PassingProxy):
    """Counts what passes, and cuts every connection after so much of it."""

    received: int = 0
    """Bytes that the laptop has received so far."""
    cut_after: int | None = None
    """How many more bytes the laptop may receive until every connection is cut, once."""
    sent: int = 0
    """Bytes that the laptop has sent so far."""
    cut_after_sent: int | None = None
    """The same for what the laptop may send."""
    cuts: int = 0

    def pass_on(self, laptop: socket.socket, server: socket.socket) -> None:
        """Pass on what comes, in a thread for each direction."""
        threading.Thread(target=self._pass_on, args=(laptop, server, False)).start()
        threading.Thread(target=self._pass_on, args=(server, laptop, True)).start()

    def cut(self) -> None:
        """Cut every connection."""
        with self._lock:
            self.cuts += 1
        self.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, to_laptop: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                self._count(len(data), to_laptop=to_laptop)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int, *, to_laptop: bool) -> None:
        with self._lock:
            if to_laptop:
                self.received += size
                self.cut_after = left = _less(self.cut_after, size)
            else:
                self.sent += size
                self.cut_after_sent = left = _less(self.cut_after_sent, size)
            due = left is not None and left <= 0
            if due and to_laptop:
                self.cut_after = None
            elif due:
                self.cut_after_sent = None
        if due:
            self.cut()


def _less(left: int | None, size: int) -> int | None:
    return None if left is None else left - size


@contextmanager
def cutting_proxy(server_port: int) -> Iterator[CuttingProxy]:
    """Yield a proxy before the server that listens on `server_port` of loopback."""
    proxy = CuttingProxy(server_port=server_port)
    with listening(proxy):
        yield proxy
