"""An SSH server on loopback inside this process, for `make demo` and tests: nothing to install.

It has a host key and a home directory of its own, lets one user in by password or by the keys in
that home's .ssh/authorized_keys, and runs commands as the user that started it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

__all__ = ["EmbeddedServer", "embedded_server"]

USER = "ada"
_PIECE = 65536
# What belongs to whoever started the server, and not to somebody who logs in to it.
_PERSONAL = ("LAB_", "SSH_", "GIT_", "XDG_", "VIRTUAL_ENV", "PYTHON", "CONDA_")


@dataclass
class EmbeddedServer:
    """A running server."""

    home: Path
    """The home directory of the user that logs in."""
    port: int = 0
    password: str = field(default_factory=secrets.token_urlsafe)

    @property
    def address(self) -> str:
        """What a person would type after `ssh`, with the port."""
        return f"{USER}@127.0.0.1:{self.port}"


@contextmanager
def embedded_server(home: Path) -> Iterator[EmbeddedServer]:
    """Yield a server whose user's home directory is `home`; it is made if it does not exist.

    With the block the server ends, and every command that was started through it and still belongs
    to a connection.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    running = EmbeddedServer(home=home)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        listener = asyncio.run_coroutine_threadsafe(_listen(running), loop).result()
        try:
            yield running
        finally:
            asyncio.run_coroutine_threadsafe(_close(listener), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(server: EmbeddedServer) -> asyncssh.SSHAcceptor:
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Connection(server),
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=lambda process: _run(process, server),
        sftp_factory=lambda channel: _Sftp(channel, server.home),
        encoding=None,
        line_editor=False,
    )
    server.port = listener.get_port()
    return listener


async def _close(listener: asyncssh.SSHAcceptor) -> None:
    listener.close()
    await listener.wait_closed()
    # The commands of connections that were cut are ended by their own tasks.
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Connection(asyncssh.SSHServer):
    """Who is let in, and what may be forwarded: sockets, as JupyterLab needs it, but no ports."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        try:
            known = (self._server.home / ".ssh" / "authorized_keys").read_text()
        except FileNotFoundError:
            return False
        offered = key.export_public_key().split()[:2]
        return any(line.encode().split()[:2] == offered for line in known.splitlines())

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == USER and secrets.compare_digest(password, self._server.password)

    def unix_connection_requested(self, dest_path: str) -> bool:
        return True


class _Sftp(asyncssh.SFTPServer):
    """Files, with relative paths meaning those in the home directory."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], home: Path) -> None:
        super().__init__(channel)
        self._home = os.fsencode(home)

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(self._home, path)  # noqa: PTH118 - bytes


_Reader = asyncio.StreamReader | asyncssh.SSHReader[bytes]
_Writer = asyncio.StreamWriter | asyncssh.SSHWriter[bytes]


async def _run(process: asyncssh.SSHServerProcess[bytes], server: EmbeddedServer) -> None:
    """Run one command as sshd does: by the login shell, in the home directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_PERSONAL)}
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        *(["-c", process.command] if process.command else []),
        cwd=server.home,
        env={
            **kept,
            "HOME": str(server.home),
            "USER": USER,
            "LOGNAME": USER,
            "SHELL": "/bin/sh",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    typing = asyncio.create_task(_pass_on(process.stdin, child.stdin))
    try:
        await asyncio.gather(
            _pass_on(child.stdout, process.stdout), _pass_on(child.stderr, process.stderr)
        )
        process.exit(await child.wait())
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        raise
    finally:
        typing.cancel()


async def _pass_on(source: _Reader, target: _Writer) -> None:
    """Pass bytes on until the source ends or nobody takes them; end the command's input then."""
    with suppress(OSError, asyncssh.Error):
        while data := await source.read(_PIECE):
            target.write(data)
            await target.drain()
    # The output must not end before the exit code: the client would close the channel without it.
    if isinstance(target, asyncio.StreamWriter):
        with suppress(OSError):
            target.write_eof()
