"""A stretch of network between the laptop and the server, which passes on every connection."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["PassingProxy", "listening"]


@dataclass
class PassingProxy(ABC):
    """Takes connections on loopback, and makes one to a server on loopback for each."""

    server_port: int
    port: int = 0
    _open: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @abstractmethod
    def pass_on(self, laptop: socket.socket, server: socket.socket) -> None:
        """Start to pass on what comes from either end to the other one."""

    def accept(self, listener: socket.socket) -> None:
        """Pass connections on until the listener is closed."""
        while True:
            try:
                laptop, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            with self._lock:
                self._open += [laptop, server]
            self.pass_on(laptop, server)

    def close(self) -> None:
        """End every connection."""
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._open.clear()


@contextmanager
def listening(proxy: PassingProxy) -> Iterator[None]:
    """Make a proxy accept connections, at a port that it then knows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.port = listener.getsockname()[1]
        thread = threading.Thread(target=proxy.accept, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            proxy.close()
