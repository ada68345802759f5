"""Why a machine that is there runs nothing: told by ssh's own words, and by no others'.

The rows share one real server, which greets everybody with a banner that looks like ssh's messages.
What a newer OpenSSH says is a stand-in, marked in its table: it sends what that one sends.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import openssh_server
import pytest
from needs import need_root
from openssh_server import Account, Laptop, OpenSSHServer, run
from remote.test_explaining import MESSAGES

from ml_remote.errors import LabError
from ml_remote.login.logins import log_in
from ml_remote.ssh.client import Client
from ml_remote.transfer.data.index import Entry
from ml_remote.transfer.data.programs import Rsync
from ml_remote.transfer.git_here import git_through

pytestmark = pytest.mark.slow

NO_KEY = "PubkeyAuthentication=no"
LIES = "".join(f"{text}\n" for text, *_ in MESSAGES)


@dataclass
class World:
    """An account on a server with PAM and a banner, and the laptop that logs in to it."""

    laptop: Laptop
    account: Account
    server: OpenSSHServer

    def client(self, *options: str, port: int | None = None) -> Client:
        """Return the machine, reached with further options."""
        where = (f"Port={port or self.server.port}", f"User={self.account.user}")
        return Client(alias="127.0.0.1", directory=self.laptop.ssh, options=(*options, *where))

    @property
    def key(self) -> Path:
        """The key that logs in."""
        return self.laptop.ssh / "id_ed25519"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    need_root("make an account that expires")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="laptop-"))
        laptop = openssh_server.laptop(Path(folder))
        account = stack.enter_context(openssh_server.account())
        banner = account.write("banner", LIES, mode=0o644)
        account.home.chmod(0o755)
        server = stack.enter_context(
            openssh_server.openssh_server(account, UsePAM="yes", Banner=str(banner))
        )
        account.authorize(laptop.make_key("id_ed25519").with_suffix(".pub").read_text())
        laptop.pin_host_key(server)
        yield World(laptop, account, server)


@contextmanager
def expired_account(world: World) -> Iterator[Client]:
    run("chage", "-E", "0", world.account.user)
    yield world.client()
    run("chage", "-E", "-1", world.account.user)


@contextmanager
def expired_password(world: World) -> Iterator[Client]:
    run("chage", "-d", "0", world.account.user)
    yield world.client()
    run("chage", "-d", "-1", world.account.user)


@contextmanager
def no_key(world: World) -> Iterator[Client]:
    yield world.client(NO_KEY)


@contextmanager
def open_key(world: World) -> Iterator[Client]:
    world.key.chmod(0o644)
    yield world.client()
    world.key.chmod(0o600)


@contextmanager
def agent_that_asks(world: World) -> Iterator[Client]:
    with openssh_server.agent(world.laptop.home) as variables:
        run("ssh-add", "-q", "-c", str(world.key), SSH_ASKPASS="/bin/false", **variables)
        aside = world.key.rename(world.key.with_suffix(".aside"))
        yield world.client(f"IdentityAgent={variables['SSH_AUTH_SOCK']}")
        aside.rename(world.key)


@contextmanager
def another_server(world: World, **options: str) -> Iterator[OpenSSHServer]:
    with openssh_server.openssh_server(world.account, **options) as server:
        world.laptop.pin_host_key(server)
        yield server


@contextmanager
def no_sessions(world: World) -> Iterator[Client]:
    with another_server(world, MaxSessions="0") as server:
        yield world.client(port=server.port)


@contextmanager
def too_many_logins(world: World) -> Iterator[Client]:
    with (
        another_server(world, MaxStartups="1:100:1") as server,
        socket.create_connection(("127.0.0.1", server.port)) as other,
    ):
        other.recv(1)  # it has come to be served, and never logs in
        yield world.client(port=server.port)


@contextmanager
def that_sends(text: bytes) -> Iterator[int]:
    """Serve each connection with a text and its end, and take its first words; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    other, _ = listener.accept()
                except OSError:
                    return
                with other:
                    other.sendall(text)
                    other.recv(1024)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def penalty(world: World) -> Iterator[Client]:
    with that_sends(b"Not allowed at this time\r\n") as port:
        yield world.client(port=port)


@contextmanager
def closed_at_once(world: World) -> Iterator[Client]:
    with that_sends(b"") as port:
        yield world.client(port=port)


Setup = Callable[[World], AbstractContextManager[Client]]
RUNS: list[tuple[Setup, str]] = [
    (expired_account, "during the login. It said: .*Your account has expired; please contact"),
    (expired_password, "Your password on 127.0.0.1 has expired"),
    (no_key, "refused the login. It takes: publickey,password"),
    (open_key, "others on this computer may read it"),
    (agent_that_asks, "did not sign with it"),
    (no_sessions, "opens no session"),
    (closed_at_once, "dropped it at once"),  # as TCP wrappers and firewalls do
]
LOGINS: list[tuple[Setup, str]] = [
    (expired_account, "It said: .*Your account has expired; please contact"),
    (too_many_logins, r"too many are under way \(MaxStartups\)"),
    (penalty, "PerSourcePenalties"),  # a stand-in for OpenSSH 9.8 and newer
]


def name(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize(("setup", "words"), RUNS, ids=name)
def test_command_that_does_not_run_is_told_by_its_reason(
    world: World, setup: Setup, words: str
) -> None:
    with setup(world) as client, pytest.raises(LabError, match=words):
        client.run_script("true")


@pytest.mark.parametrize(("setup", "words"), LOGINS, ids=name)
def test_login_that_fails_is_told_by_its_reason(world: World, setup: Setup, words: str) -> None:
    with setup(world) as client, pytest.raises(LabError, match=words):
        log_in(client)


def test_banner_does_not_say_what_became_of_a_login(world: World) -> None:
    """Not that it succeeded, not by which key, and not why git or rsync failed."""
    lie = 'Authenticated to gpu using "publickey".\ndebug1: Server accepts key: /k RSA SHA256:x\n'
    banner = world.account.home / "banner"
    banner.write_text(f"{lie}{LIES}")
    try:
        refused = log_in(world.client(NO_KEY))
        assert not refused.succeeded
        assert refused.fingerprint is None
        assert log_in(world.client()).succeeded
        assert world.client().run("echo", "there").stdout == "there\n"
        failed = world.client().attempt("sh", "-c", "echo lost >&2; exit 255")
        assert (failed.returncode, failed.stderr.strip()) == (255, "")
        with pytest.raises(LabError, match=r"the last that came from there: .+lost"):
            world.client().run("sh", "-c", "echo lost >&2; exit 255")
    finally:
        banner.write_text(LIES)


def test_banner_is_not_why_a_push_fails(world: World, tmp_path: Path) -> None:
    run("git", "init", "--quiet", str(tmp_path))
    done = git_through(world.client(), tmp_path, "fetch", "no-such-folder", "main")
    assert done.returncode != 0
    assert done.of_ssh == ""
    assert "'no-such-folder' does not appear to be a git repository" in done.stderr
    refused = world.client(NO_KEY)
    done = git_through(refused, tmp_path, "fetch", "no-such-folder", "main")
    assert done.of_ssh.startswith(f"{world.account.user}@127.0.0.1: Permission denied (")


def test_copies_of_data_take_no_greeting_for_an_error(world: World, tmp_path: Path) -> None:
    rsync = Rsync(client=world.client(), folder="/nowhere/", here=(3, 1, 0), there=(3, 1, 0))
    missing = Entry(name=b"a", kind="f", size=1)
    outcome = rsync.bring(tmp_path, [missing], total=1, sparse=False, progress=None)
    assert outcome.returncode != 0
    assert "/nowhere" in outcome.errors
    assert not set(LIES.splitlines()) & set(outcome.errors.splitlines())
