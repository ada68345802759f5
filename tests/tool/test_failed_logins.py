"""Logins that fail, or that only fail by what `lab connect` does: each on a server set up that way.

The rows share one account. Each has a server with the options of its row, and a laptop of its own.
Where a program is a stand-in, its row says so: it refuses what the real one refuses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import accounts
import openssh_server
import pytest
from baking import BakedProject
from needs import need_program, need_root
from openssh_server import Account, Laptop, OpenSSHServer, run
from tool.login_setups import ALIAS, ASKS, FAILS, LOGS_IN, RESTORED, Row, Setup
from tool_helpers import files_in

from ml_remote.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def somebody() -> Iterator[Account]:
    """Yield an account that all rows share."""
    need_root("make an account with a password")
    with openssh_server.account(shell=need_program("bash")) as made:
        yield made


@pytest.fixture
def row(
    somebody: Account,
    laptop: Laptop,
    default_project: BakedProject,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Row]:
    """Yield a row without anything yet."""
    somebody.authorize()
    monkeypatch.chdir(default_project.path)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(accounts.folder_of_its_own()))
        yield Row(laptop, somebody, folder, monkeypatch, stack)


@pytest.fixture
def capture(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the `lab` command in this process; return its exit code and all that it printed."""

    def lab(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = main(list(arguments))
        said = capfd.readouterr()
        return code, said.out + said.err

    return lab


def connect(
    row: Row, setup: Setup, lab: Callable[..., tuple[int, str]]
) -> tuple[int, str, OpenSSHServer, dict[str, bytes]]:
    setup(row)
    server = row.stack.enter_context(openssh_server.openssh_server(row.account, **row.options))
    row.laptop.known_hosts.write_text("")
    before = files_in(row.laptop)
    if row.programs is not None:
        row.monkeypatch.setenv("PATH", str(row.programs), prepend=":")
    arguments = row.arguments
    if arguments[:1] != ["root@127.0.0.1"]:
        arguments = [*([] if row.has_own_host else [server.address]), *arguments]
    else:
        arguments = [f"{arguments[0]}:{server.port}"]
    code, said = lab("connect", *arguments, "--yes")
    return code, said, server, before


@pytest.mark.parametrize(
    ("setup", "words"), LOGS_IN, ids=lambda value: getattr(value, "__name__", "")
)
def test_login_works_and_is_proved_as_it_is_used(
    row: Row, capture: Callable[..., tuple[int, str]], setup: Setup, words: str
) -> None:
    began = time.monotonic()
    code, said, server, _ = connect(row, setup, capture)
    assert code == 0, said
    assert words in said
    assert time.monotonic() - began < 40
    assert len(row.laptop.questions) <= 1
    logins = server.logins
    options = ("-o", "BatchMode=yes")
    assert row.laptop.run_ssh(*options, "-S", "none", ALIAS, "true").returncode == 0
    assert row.laptop.run_ssh(*options, ALIAS, "true").returncode == 0
    assert server.logins == logins + 1  # the second shares the connection of the proof


@pytest.mark.parametrize(("setup", "words"), ASKS, ids=lambda value: getattr(value, "__name__", ""))
def test_where_every_login_asks_one_connection_is_shared(
    row: Row, capture: Callable[..., tuple[int, str]], setup: Setup, words: str
) -> None:
    code, said, server, _ = connect(row, setup, capture)
    assert code == 0, said
    assert words in said
    assert len(row.laptop.questions) == 1
    assert server.logins == 1
    assert row.laptop.run_ssh("-o", "BatchMode=yes", ALIAS, "true").returncode == 0
    row.laptop.run_ssh("-O", "exit", ALIAS)


@pytest.mark.parametrize(
    ("setup", "words"), FAILS, ids=lambda value: getattr(value, "__name__", "")
)
def test_failed_login_is_told_by_its_reason(
    row: Row, capture: Callable[..., tuple[int, str]], setup: Setup, words: str
) -> None:
    code, said, _, before = connect(row, setup, capture)
    assert code != 0
    assert words in said
    assert "now logs in" not in said
    if setup in RESTORED:
        assert "were restored" in said
        assert "Still in ~/.ssh/authorized_keys on the machine: " in said
        assert files_in(row.laptop) == before


def test_revoked_host_key_is_never_pinned(
    row: Row, capture: Callable[..., tuple[int, str]]
) -> None:
    server = row.stack.enter_context(openssh_server.openssh_server(row.account))
    revoked = f"@revoked * {Path(f'{server.host_key}.pub').read_text()}"
    row.laptop.known_hosts.write_text(revoked)
    code, said = capture("connect", server.address, "--yes")
    assert code != 0
    assert "is marked as revoked" in said
    assert row.laptop.known_hosts.read_text() == revoked


def test_key_that_lab_made_is_used_again(row: Row, capture: Callable[..., tuple[int, str]]) -> None:
    """After a disconnect, and by a second project for the same account, without a password."""
    row.know_password()
    server = row.stack.enter_context(openssh_server.openssh_server(row.account))
    key = row.laptop.ssh / "ml-remote.d" / f"{ALIAS}.key"
    for arguments in (
        ["connect", server.address, "--yes"],
        ["disconnect", "--yes"],
        ["connect", server.address, "--yes"],
        ["connect", server.address, "--alias", "second", "--yes"],
    ):
        code, said = capture(*arguments)
        assert code == 0, said
    assert len(row.laptop.questions) == 1
    assert str(key) in (row.laptop.ssh / "ml-remote.d" / "second.conf").read_text()
    code, said = capture("disconnect", "--remove-key", "--yes")
    assert code == 0, said
    assert "it is also used by second" in said
    assert key.is_file()


SETTINGS = (
    # Each file of settings for every host: none of them may break a connect.
    "BatchMode yes\nPreferredAuthentications publickey\nPasswordAuthentication no\n"
    "NumberOfPasswordPrompts 0\nKbdInteractiveAuthentication no\nIdentitiesOnly yes\n"
    "RequestTTY force\nRemoteCommand echo hello\nControlMaster yes\nControlPersist no\n"
    "HashKnownHosts yes\nUpdateHostKeys yes\n",
    "StrictHostKeyChecking ask\nVerifyHostKeyDNS yes\nCheckHostIP yes\nAddressFamily inet\n"
    "LocalForward 127.0.0.1:1 127.0.0.1:2\nExitOnForwardFailure yes\nControlMaster ask\n"
    "PermitLocalCommand yes\nLocalCommand false\nAddKeysToAgent yes\nConnectionAttempts 2\n"
    "ProxyCommand bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'\n"
    "Match exec true\n    Compression yes\n",
)


@pytest.mark.parametrize("settings", SETTINGS, ids=["passwords and keys", "ways and host keys"])
def test_settings_for_every_host_do_not_break_a_connect(
    row: Row, capture: Callable[..., tuple[int, str]], settings: str
) -> None:
    row.know_password()
    row.laptop.config.write_text(f"{row.laptop.config.read_text()}{settings}")
    server = row.stack.enter_context(openssh_server.openssh_server(row.account))
    code, said = capture("connect", server.address, "--yes")
    assert code == 0, said
    assert len(row.laptop.questions) == 1
    row.laptop.run_ssh("-O", "exit", ALIAS)  # with the ProxyCommand that it has started
    server.stop()


def test_disk_without_sockets_has_its_shared_connections_elsewhere(
    row: Row, capture: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """The SSH directory is on a disk of sshfs, which takes no sockets, like exFAT."""
    need_root("mount a disk")
    if not Path("/dev/fuse").exists():
        pytest.skip("needs: /dev/fuse")
    row.know_password()
    server = row.stack.enter_context(openssh_server.openssh_server(row.account))
    disk, state = row.laptop.home / "disk", row.laptop.home / "state"
    disk.mkdir()
    state.mkdir(mode=0o700)
    key = row.laptop.make_key("for-the-disk")
    row.account.authorize(key.with_suffix(".pub").read_text())
    row.account.write("disk/config", row.laptop.config.read_text())
    row.laptop.pin_host_key(server)
    options = [
        "-F",
        str(row.laptop.config),
        "-o",
        f"IdentityFile={key}",
        "-o",
        "IdentitiesOnly=yes",
    ]
    mount = [need_program("sshfs"), *options, "-p", str(server.port), "-o", "idmap=user"]
    run(*mount, f"{row.account.user}@127.0.0.1:disk", str(disk))
    row.stack.callback(run, "umount", "--lazy", str(disk))
    row.account.authorize()
    row.monkeypatch.setenv("LAB_SSH_DIR", str(disk))
    row.monkeypatch.setenv("XDG_STATE_HOME", str(state))
    code, said = capture("connect", server.address, "--yes")
    assert code == 0, said
    assert (
        f'ControlPath "{state}/ml-remote/%C"'
        in (disk / "ml-remote.d" / f"{ALIAS}.conf").read_text()
    )
    assert (state / "ml-remote").stat().st_mode & 0o777 == 0o700
    logins = server.logins
    assert run("ssh", "-F", str(disk / "config"), ALIAS, "echo", "there") == "there\n"
    assert server.logins == logins
    run("ssh", "-F", str(disk / "config"), "-O", "exit", ALIAS)
    code, said = capture("disconnect", "--yes")
    assert code == 0, said
    assert list(state.iterdir()) == []
