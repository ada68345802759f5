"""A port of this computer that this process keeps open, even while it leads nowhere.

ssh could listen on it itself. But while the network is away there is no ssh: another user of this
computer could take the port then, and the page that is open in the browser would send its secrets
to them. So ssh listens on a socket in a private directory, and what comes to the port is passed on
to it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..errors import LabError
from ..processes import is_windows

if TYPE_CHECKING:
    from ..far.env.private import PrivateDirectory

__all__ = ["KeptPort", "Way", "take_port"]

_PORTS_TRIED = 20
_PIECE = 2**16  # bytes

Way = str | int
"""Where ssh listens: the path of a socket, or on Windows, which has none, a port."""


def take_port(preferred: int, *, is_exact: bool = False) -> socket.socket:
    """Return a socket that listens on `preferred`, or on a port near it, of this computer only.

    Raises LabError when there is none, or when `is_exact` is set and another program has that one.
    """
    others = () if is_exact else (*range(preferred + 1, preferred + _PORTS_TRIED), 0)
    for port in (preferred, *others):
        listener = socket.socket()
        try:
            if is_windows():  # there another program could take the port away otherwise
                exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", 0)
                listener.setsockopt(socket.SOL_SOCKET, exclusive, 1)
            else:
                # One that was just in use must not look taken: open pages expect the same one.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            return listener
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    if is_exact:
        raise LabError(
            f"Port {preferred} of this computer is in use, or you may not use it.",
            hint="Name another port before the colon",
        )
    raise LabError("This computer has no free port left.", hint="Close some programs")


class KeptPort:
    """A port that listens until the block ends; connections are forwarded, or closed at once.

    It is `preferred` or, unless `is_exact` is set, one near it. Raises LabError when there is no
    port, or no private directory for ssh's socket.
    """

    def __init__(self, preferred: int, *, is_exact: bool = False) -> None:
        self._listener = take_port(preferred, is_exact=is_exact)
        self._directory = None if is_windows() else _private_directory()
        self.number: int = self._listener.getsockname()[1]
        self._ways = 0
        self._way: Way | None = None
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(),), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
        if self._directory is not None:
            self._directory.remove()

    def new_way(self) -> Way:
        """Return where ssh may listen; nothing has listened there before."""
        self._ways += 1
        if self._directory is not None:
            return str(self._directory.path / str(self._ways))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        return port

    def lead(self, way: Way | None) -> None:
        """Send connections this way from now on; None closes them at once."""
        self._way = way

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._forward, sock=self._listener)
        await self._over.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one connection brings, in both directions, until one side is closed."""
        way = self._way
        try:
            if way is None:
                return
            there_reader, there_writer = await _connect(way)
            try:
                await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
            finally:
                there_writer.close()
        except OSError:  # the way ends here, or one side has gone
            pass
        finally:
            writer.close()


async def _connect(way: Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(way, str):
        return await asyncio.open_unix_connection(way)
    return await asyncio.open_connection("127.0.0.1", way)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


def _private_directory() -> PrivateDirectory:
    # Not above: Windows has no such locks.
    from ..far.env.private import NoPrivateDirectoryError, PrivateDirectory

    try:
        return PrivateDirectory()
    except NoPrivateDirectoryError as error:
        raise LabError(str(error), hint="Make /tmp writable, or free disk space there") from None
