"""Logins that fail, or that only fail by what `lab connect` does: each on a server set up that way.

The rows share one account. Each has a server with the options of its row, and a laptop of its own.
Where a program is a stand-in, its row says so: it refuses what the real one refuses.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import openssh_server
import pytest
from baking import BakedProject
from needs import need_program, need_root
from openssh_server import Account, Laptop, OpenSSHServer, run
from remote_fixtures import files_in

from ml_remote.cli import main

ALIAS = "handwriting-lab"

pytestmark = pytest.mark.slow


@dataclass
class Row:
    """A laptop, a server and what is started for one row."""

    laptop: Laptop
    account: Account
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack
    options: dict[str, str] = field(default_factory=dict)
    programs: Path | None = None
    """Stand-ins for programs of the laptop."""
    arguments: list[str] = field(default_factory=list)
    has_own_host: bool = False
    """Whether the person's own configuration has the alias."""

    def certificate(self, key: Path, valid: str = "-1h:+1h") -> Path:
        """Make a certificate for a key, by the authority that the server trusts."""
        made = key.with_name(f"{key.name}-cert.pub")
        authority = self.folder / "authority"
        names = ("-I", "me", "-n", self.account.user)
        run("ssh-keygen", "-q", "-s", str(authority), *names, "-V", valid, f"{key}.pub")
        return made

    def trust_certificates(self) -> None:
        """Have the server trust an authority, and no passwords."""
        authority = self.folder / "authority"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ca", "-f", str(authority))
        self.options |= {
            "TrustedUserCAKeys": f"{authority}.pub",
            "PasswordAuthentication": "no",
        }
        self.folder.chmod(0o755)

    def agent(self, *keys: Path) -> None:
        """Start an agent with these keys."""
        for name, value in self.stack.enter_context(openssh_server.agent(self.laptop.home)).items():
            self.monkeypatch.setenv(name, value)
        for key in keys:
            run("ssh-add", "-q", str(key))

    def know_password(self) -> None:
        """Have ssh told the password when it asks."""
        for name, value in self.laptop.askpass(self.account.password or "").items():
            self.monkeypatch.setenv(name, value)


def certificate_in_the_agent(row: Row) -> None:
    row.trust_certificates()
    key = row.laptop.make_key("signed")
    row.certificate(key)
    row.agent(key)  # ssh-add takes the certificate beside the key, too
    for path in row.laptop.ssh.glob("signed*"):
        path.unlink()


def certificate_of_one_of_two_keys_in_the_agent(row: Row) -> None:
    row.trust_certificates()
    plain, signed = row.laptop.make_key("plain"), row.laptop.make_key("signed")
    row.certificate(signed)
    row.agent(plain, signed)
    for path in (*row.laptop.ssh.glob("plain*"), *row.laptop.ssh.glob("signed*")):
        path.unlink()


def certificate_in_the_agent_of_a_key_here(row: Row) -> None:
    row.trust_certificates()
    key = row.laptop.make_key("id_ed25519")
    certificate = row.certificate(key)
    row.agent(key)
    certificate.unlink()


def certificate_beside_the_key(row: Row) -> None:
    row.trust_certificates()
    row.certificate(row.laptop.make_key("id_ed25519"))


def certificate_that_the_configuration_names(row: Row) -> None:
    row.trust_certificates()
    certificate = row.certificate(row.laptop.make_key("id_ed25519"))
    moved = certificate.rename(row.laptop.ssh / "work.pub")
    text = row.laptop.config.read_text()
    row.laptop.config.write_text(f'{text}    CertificateFile "{moved}"\n')


def expired_certificate(row: Row) -> None:
    row.trust_certificates()
    row.certificate(row.laptop.make_key("id_ed25519"), valid="-2h:-1h")


def expired_certificate_in_the_agent(row: Row) -> None:
    expired_certificate(row)
    row.agent(row.laptop.ssh / "id_ed25519")
    for path in row.laptop.ssh.glob("id_ed25519*"):
        path.unlink()


def only_ecdsa(row: Row) -> None:
    row.options["PubkeyAcceptedAlgorithms"] = "ecdsa-sha2-nistp521"
    row.know_password()


def only_sha1(row: Row) -> None:
    row.options["PubkeyAcceptedAlgorithms"] = "ssh-rsa"
    row.laptop.make_key("id_rsa", key_type="rsa")
    row.know_password()


def one_attempt(row: Row) -> None:
    row.options |= {"MaxAuthTries": "1", "PasswordAuthentication": "no"}
    row.laptop.make_key("id_ed25519")
    key = row.laptop.make_key("id_rsa", key_type="rsa")
    row.account.authorize(key.with_suffix(".pub").read_text())


def home_of_a_group(row: Row) -> None:
    row.account.home.chmod(0o777)
    row.stack.callback(row.account.home.chmod, 0o700)
    row.know_password()


def no_keys(row: Row) -> None:
    row.options["PubkeyAuthentication"] = "no"
    row.know_password()


def another_user_alone(row: Row) -> None:
    row.options["AllowUsers"] = "somebody-else"
    row.know_password()


def no_root(row: Row) -> None:
    row.options["PermitRootLogin"] = "no"
    row.arguments = ["root@127.0.0.1"]
    row.know_password()


def second_factor(row: Row) -> None:
    row.options["AuthenticationMethods"] = "publickey,password"
    row.account.authorize(row.laptop.make_key("id_ed25519").with_suffix(".pub").read_text())


def keyboard_interactive_alone(row: Row) -> None:
    row.options |= {
        "UsePAM": "yes",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "yes",
    }
    row.know_password()


def agent_that_does_not_sign(row: Row) -> None:
    row.options["PasswordAuthentication"] = "no"
    key = row.laptop.make_key("held")
    row.account.authorize(key.with_suffix(".pub").read_text())
    row.agent()
    run("ssh-add", "-q", "-c", str(key), SSH_ASKPASS="/bin/false")
    for path in row.laptop.ssh.glob("held*"):
        path.unlink()


def expired_password(row: Row) -> None:
    row.options["UsePAM"] = "yes"
    row.account.authorize(row.laptop.make_key("id_ed25519").with_suffix(".pub").read_text())
    run("chage", "-d", "0", row.account.user)
    row.stack.callback(run, "chage", "-d", "-1", row.account.user)


def silent_agent(row: Row) -> None:
    path = row.laptop.home / "silent"
    listener = row.stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen()  # takes connections, and nobody serves them
    row.monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    row.know_password()


def start_up_file_that_ends_with_a_failure(row: Row) -> None:
    row.account.authorize(row.laptop.make_key("id_ed25519").with_suffix(".pub").read_text())
    file = row.account.write(".bashrc", "[ -f ~/.none ] && . ~/.none\n")
    row.stack.callback(file.unlink)


def start_up_file_that_waits(row: Row) -> None:
    row.account.authorize(row.laptop.make_key("id_ed25519").with_suffix(".pub").read_text())
    file = row.account.write(".bashrc", "sleep 15\n")
    row.stack.callback(file.unlink)
    row.monkeypatch.setattr("ml_remote.ssh.client.CONNECT_TIMEOUT", 1)
    row.monkeypatch.setattr("ml_remote.ssh.not_run.PATIENCE", 2)


def silent_agent_for_a_host_of_ones_own(row: Row) -> None:
    silent_agent(row)
    row.arguments = []
    text = row.laptop.config.read_text()
    row.laptop.config.write_text(f"Host {ALIAS}\n    HostName 127.0.0.1\n{text}")
    row.has_own_host = True


def keygen_in_fips_mode(row: Row) -> None:
    programs = row.laptop.home / "bin"
    programs.mkdir()
    real = shutil.which("ssh-keygen")
    (programs / "ssh-keygen").write_text(
        "#!/bin/sh\n"
        'case " $* " in *" -t ed25519 "*)\n'
        "    echo 'ED25519 keys are not allowed in FIPS mode' >&2; exit 255 ;;\n"
        f'esac\nexec {real} "$@"\n'
    )
    (programs / "ssh-keygen").chmod(0o700)
    row.programs = programs
    row.know_password()


def type_that_ssh_keygen_refuses(row: Row) -> None:
    keygen_in_fips_mode(row)
    row.arguments = ["--key-type", "ed25519"]


def type_of_another_key(row: Row) -> None:
    row.laptop.make_key("chosen")
    row.arguments = ["--identity", str(row.laptop.ssh / "chosen"), "--key-type", "ecdsa-521"]


def keys_turned_off_here(row: Row) -> None:
    text = row.laptop.config.read_text()
    row.laptop.config.write_text(f"{text}    PreferredAuthentications password\n")
    row.know_password()


Setup = Callable[[Row], None]
LOGS_IN: list[tuple[Setup, str]] = [
    (certificate_in_the_agent, "now logs in without a password"),
    (certificate_of_one_of_two_keys_in_the_agent, "now logs in without a password"),
    (keyboard_interactive_alone, "now logs in without a password"),
    (certificate_in_the_agent_of_a_key_here, "now logs in without a password"),
    (certificate_beside_the_key, "now logs in without a password"),
    (certificate_that_the_configuration_names, "now logs in without a password"),
    (only_ecdsa, "does not use a key of the type ssh-ed25519"),
    (one_attempt, "now logs in without a password"),
    (silent_agent, "Your SSH agent does not answer"),
    (start_up_file_that_ends_with_a_failure, "now logs in without a password"),
    (keygen_in_fips_mode, "now logs in without a password"),  # a stand-in for RHEL's ssh-keygen
]
FAILS: list[tuple[Setup, str]] = [
    (expired_certificate, "expired on"),
    (expired_certificate_in_the_agent, "expired on"),
    (agent_that_does_not_sign, "did not sign with it"),
    (expired_password, "Your password on handwriting-lab has expired"),
    (only_sha1, "RSA with SHA-1"),
    (home_of_a_group, "others may write to ~ there"),
    (start_up_file_that_waits, "Line 1 of ~/.bashrc seems to be the reason: sleep 15"),
    (silent_agent_for_a_host_of_ones_own, "Your SSH agent does not answer"),
    (no_keys, "takes no keys"),
    (another_user_alone, "refused the login"),
    (no_root, "refused the login"),
    (second_factor, "second factor"),
    (type_that_ssh_keygen_refuses, "--key-type ed25519 cannot be honoured"),  # the same stand-in
    (keys_turned_off_here, "turns keys off"),
    (type_of_another_key, "--key-type ecdsa-521 cannot be honoured"),
]
RESTORED = (only_sha1, home_of_a_group)


@pytest.fixture(scope="module")
def somebody() -> Iterator[Account]:
    """An account that all rows share."""
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
    """A row without anything yet."""
    somebody.authorize()
    monkeypatch.chdir(default_project.path)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(openssh_server.folder_of_its_own()))
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
        assert "is restored" in said
        assert "stays there: a line in ~/.ssh/authorized_keys" in said
        assert files_in(row.laptop) == before


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
    assert "second still logs in with it" in said
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
