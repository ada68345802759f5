"""Why a machine that is there runs nothing: told by ssh's own words, and by no others'.

The rows share one real server, which greets everybody with a banner that looks like ssh's messages.
What no program here does is a stand-in, marked in its table: it sends what the real one sends.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import openssh_server
import pytest
from needs import need_program, need_root
from openssh_server import Account, Laptop, OpenSSHServer, run
from tool.ssh_messages import MESSAGES
from tool_helpers import that_sends

from ml_remote.errors import LabError
from ml_remote.login.logins import log_in
from ml_remote.ssh.client import Client
from ml_remote.transfer.data.index import Entry
from ml_remote.transfer.data.programs import Rsync
from ml_remote.transfer.local_repository import git_through

pytestmark = pytest.mark.slow

NO_KEY = "PubkeyAuthentication=no"
LIES = "".join(f"{text}\n" for text, *_ in MESSAGES)


@dataclass
class Login:
    """An account on a server with PAM and a banner, and the laptop that logs in to it."""

    laptop: Laptop
    account: Account
    server: OpenSSHServer

    def client(self, *options: str, port: int | None = None) -> Client:
        """Return the machine, reached with further options."""
        where = (f"Port={port or self.server.port}", f"User={self.account.user}")
        return Client(alias="127.0.0.1", directory=self.laptop.ssh, options=(*options, *where))

    @property
    def own(self) -> str:
        """The account, as the address of a jump host: ssh takes none that is the machine itself."""
        return f"{self.account.user}@localhost:{self.server.port}"

    @property
    def nobody(self) -> str:
        """A user of that server who has no key there, as an address."""
        return f"nobody@localhost:{self.server.port}"

    @property
    def key(self) -> Path:
        """The key that logs in."""
        return self.laptop.ssh / "id_ed25519"


Setup = Callable[[Login], AbstractContextManager[Client]]


@pytest.fixture(scope="module")
def login() -> Iterator[Login]:
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
        known = laptop.known_hosts.read_text()
        laptop.known_hosts.write_text(known + known.replace("127.0.0.1", "localhost"))
        yield Login(laptop, account, server)


@contextmanager
def expired_account(login: Login) -> Iterator[Client]:
    run("chage", "-E", "0", login.account.user)
    yield login.client()
    run("chage", "-E", "-1", login.account.user)


@contextmanager
def expired_password(login: Login) -> Iterator[Client]:
    run("chage", "-d", "0", login.account.user)
    yield login.client()
    run("chage", "-d", "-1", login.account.user)


@contextmanager
def expired_certificate(login: Login) -> Iterator[Client]:
    """Log in with a key whose certificate has expired, and which is not authorized itself."""
    key = login.laptop.make_key("signed")
    names = ("-I", "me", "-n", login.account.user, "-V", "-2h:-1h")
    run("ssh-keygen", "-q", "-s", str(login.key), *names, f"{key}.pub")
    aside = login.key.rename(login.key.with_suffix(".aside"))
    yield login.client(f"IdentityFile={key}", "IdentitiesOnly=yes")
    aside.rename(login.key)


@contextmanager
def no_key(login: Login) -> Iterator[Client]:
    yield login.client(NO_KEY)


@contextmanager
def open_key(login: Login) -> Iterator[Client]:
    login.key.chmod(0o644)
    yield login.client()
    login.key.chmod(0o600)


@contextmanager
def agent_that_asks(login: Login) -> Iterator[Client]:
    with openssh_server.agent(login.laptop.home) as variables:
        run("ssh-add", "-q", "-c", str(login.key), SSH_ASKPASS="/bin/false", **variables)
        aside = login.key.rename(login.key.with_suffix(".aside"))
        yield login.client(f"IdentityAgent={variables['SSH_AUTH_SOCK']}")
        aside.rename(login.key)


def security_key(answer: int) -> Setup:
    """Log in by a security key that answers so when it has to sign (sk-api.h of OpenSSH)."""

    @contextmanager
    def plugged_in(login: Login) -> Iterator[Client]:
        middleware = login.laptop.home / f"security-key{answer}.so"
        source = Path(openssh_server.__file__).with_name("security_key.c")
        options = ("-shared", "-fPIC", "-w", f"-DANSWER={answer}")
        run(need_program("cc"), *options, "-o", str(middleware), str(source))
        key = login.laptop.ssh / f"security-key{answer}"
        make = ("ssh-keygen", "-q", "-t", "ed25519-sk", "-N", "", "-f", str(key))
        run(*make, "-w", str(middleware))
        authorized = login.account.authorized_keys.read_text()
        login.account.authorize(key.with_suffix(".pub").read_text())
        yield login.client(
            f"SecurityKeyProvider={middleware}", f"IdentityFile={key}", "IdentitiesOnly=yes",
            "IdentityAgent=none",
        )  # fmt: skip
        login.account.authorize(authorized)

    plugged_in.__name__ = f"security_key_that_answers_{-answer}"
    return plugged_in


@contextmanager
def another_server(login: Login, **options: str) -> Iterator[OpenSSHServer]:
    with openssh_server.openssh_server(login.account, **options) as server:
        login.laptop.pin_host_key(server)
        yield server


@contextmanager
def jump_host_that_refuses(login: Login) -> Iterator[Client]:
    yield login.client(f"ProxyJump={login.nobody}")


@contextmanager
def first_of_two_jump_hosts_refuses(login: Login) -> Iterator[Client]:
    yield login.client(f"ProxyJump={login.nobody},{login.own}")


@contextmanager
def ssh_as_a_proxy_command_is_refused(login: Login) -> Iterator[Client]:
    command = f"ssh -F {login.laptop.config} -W %h:%p -p {login.server.port} nobody@localhost"
    yield login.client(f"ProxyCommand={command}")


@contextmanager
def jump_host_that_is_the_machine(login: Login) -> Iterator[Client]:
    yield login.client(f"ProxyJump=127.0.0.1:{login.server.port}")


@contextmanager
def nothing_behind_the_jump_host(login: Login) -> Iterator[Client]:
    yield login.client(f"ProxyJump={login.own}", port=1)


@contextmanager
def refused_behind_the_jump_host(login: Login) -> Iterator[Client]:
    yield login.client(f"ProxyJump={login.own}", NO_KEY)


@contextmanager
def proxy_command_that_complains(login: Login) -> Iterator[Client]:
    yield login.client("ProxyCommand=sh -c 'echo the tunnel is closed on Sundays >&2; exit 1'")


@contextmanager
def proxy_command_without_its_program(login: Login) -> Iterator[Client]:
    yield login.client("ProxyCommand=no-such-program %h %p")


@contextmanager
def limited(login: Login, limit: str) -> Iterator[None]:
    """Make PAM set a limit for the account (pam_limits)."""
    file = Path("/etc/security/limits.d") / f"{login.account.user}.conf"
    file.write_text(f"{login.account.user} hard {limit}\n")
    try:
        yield
    finally:
        file.unlink()


@contextmanager
def no_logins_by_pam(login: Login) -> Iterator[Client]:
    with limited(login, "maxlogins 0"):
        yield login.client()


@contextmanager
def no_processes_by_pam(login: Login) -> Iterator[Client]:
    with limited(login, "nproc 0"):
        yield login.client()


@contextmanager
def no_sessions(login: Login) -> Iterator[Client]:
    with another_server(login, MaxSessions="0") as server:
        yield login.client(port=server.port)


@contextmanager
def too_many_logins(login: Login) -> Iterator[Client]:
    with (
        another_server(login, MaxStartups="1:100:1") as server,
        socket.create_connection(("127.0.0.1", server.port)) as other,
    ):
        other.recv(1)  # it has come to be served, and never logs in
        yield login.client(port=server.port)


@contextmanager
def penalty(login: Login) -> Iterator[Client]:
    with that_sends(b"Not allowed at this time\r\n") as port:
        yield login.client(port=port)


@contextmanager
def closed_at_once(login: Login) -> Iterator[Client]:
    with that_sends(b"") as port:
        yield login.client(port=port)


RUNS: list[tuple[Setup, str]] = [
    (
        expired_account,
        "during the login, or before it. It said: .*Your account has expired; please contact",
    ),
    (expired_password, "Your password on 127.0.0.1 has expired"),
    (expired_certificate, "It accepts: publickey,password. The certificate .* expired on"),
    (no_key, "refused the login. It accepts: publickey,password"),
    (open_key, "other users of this computer can read it"),
    (agent_that_asks, "did not sign with it"),
    (jump_host_that_refuses, "jump host on the way to 127.0.0.1 refused the login as nobody@"),
    (first_of_two_jump_hosts_refuses, "jump host on .* refused the login as nobody@"),
    (ssh_as_a_proxy_command_is_refused, "jump host on .* refused the login as nobody@"),
    (jump_host_that_is_the_machine, "127.0.0.1, is that machine itself"),
    (nothing_behind_the_jump_host, r"jump host lets you in, .* \(connect failed: Connection refus"),
    (refused_behind_the_jump_host, "^127.0.0.1 refused the login. It accepts: publickey,password"),
    (proxy_command_that_complains, "the tunnel is closed on Sundays"),
    (proxy_command_without_its_program, "needs the program no-such-program"),
    (no_logins_by_pam, r"no more logins at the same time \(maxlogins\)"),
    (no_processes_by_pam, r"does not start a process for you: .*\(nproc\)"),
    # The key is a stand-in, ssh and its helper are real: nothing else is made without hardware.
    (security_key(-4), "security key that logs in to 127.0.0.1 is not plugged in"),
    (security_key(-3), "did not sign for 127.0.0.1: it was not touched in time, or its PIN was"),
    (security_key(-1), "did not sign for 127.0.0.1: it was not touched in time, or its PIN was"),
    (no_sessions, "opens no session"),
    (
        closed_at_once,
        "dropped it at once|during the login, or before it",
    ),  # a stand-in for TCP wrappers and firewalls
]
LOGINS: list[tuple[Setup, str]] = [
    (expired_account, "It said: .*Your account has expired; please contact"),
    (too_many_logins, r"too many are in progress \(MaxStartups\)"),
    (penalty, "PerSourcePenalties"),  # a stand-in for OpenSSH 9.8 and newer
]


def name(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize(("setup", "words"), RUNS, ids=name)
def test_command_that_does_not_run_is_told_by_its_reason(
    login: Login, setup: Setup, words: str
) -> None:
    with setup(login) as client, pytest.raises(LabError, match=words):
        client.run_script("true")


@pytest.mark.parametrize(("setup", "words"), LOGINS, ids=name)
def test_login_that_fails_is_told_by_its_reason(login: Login, setup: Setup, words: str) -> None:
    with setup(login) as client, pytest.raises(LabError, match=words):
        log_in(client)


def test_banner_does_not_say_what_became_of_a_login(login: Login) -> None:
    """Not that it succeeded, not by which key, and not why git or rsync failed."""
    lie = 'Authenticated to gpu using "publickey".\ndebug1: Server accepts key: /k RSA SHA256:x\n'
    banner = login.account.home / "banner"
    banner.write_text(f"{lie}{LIES}")
    try:
        refused = log_in(login.client(NO_KEY))
        assert not refused.succeeded
        assert refused.fingerprint is None
        assert log_in(login.client()).succeeded
        assert login.client().run("echo", "there").stdout == "there\n"
        failed = login.client().attempt("sh", "-c", "echo lost >&2; exit 255")
        assert (failed.returncode, failed.stderr.strip()) == (255, "")
        with pytest.raises(LabError, match=r"its last output: .+lost"):
            login.client().run("sh", "-c", "echo lost >&2; exit 255")
    finally:
        banner.write_text(LIES)


def test_banner_is_not_why_a_push_fails(login: Login, tmp_path: Path) -> None:
    run("git", "init", "--quiet", str(tmp_path))
    done = git_through(login.client(), tmp_path, "fetch", "no-such-folder", "main")
    assert done.returncode != 0
    assert done.of_ssh == ""
    assert "'no-such-folder' does not appear to be a git repository" in done.stderr
    refused = login.client(NO_KEY)
    done = git_through(refused, tmp_path, "fetch", "no-such-folder", "main")
    assert done.of_ssh.startswith(f"{login.account.user}@127.0.0.1: Permission denied (")


def test_copies_of_data_take_no_greeting_for_an_error(login: Login, tmp_path: Path) -> None:
    rsync = Rsync(client=login.client(), folder="/nowhere/", here=(3, 1, 0), there=(3, 1, 0))
    missing = Entry(name=b"a", kind="f", size=1)
    outcome = rsync.bring(tmp_path, [missing], total=1, sparse=False, progress=None)
    assert outcome.returncode != 0
    assert "/nowhere" in outcome.errors
    assert not set(LIES.splitlines()) & set(outcome.errors.splitlines())
