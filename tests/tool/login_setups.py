"""Servers and laptops on which logins fail, or only fail by what `lab connect` does: a table."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import openssh_server
import pytest
from openssh_server import Account, Laptop, run

__all__ = [
    "ALIAS",
    "ASKS",
    "FAILS",
    "LOGS_IN",
    "RESTORED",
    "Row",
    "Setup",
]


ALIAS = "handwriting-lab"
Setup = Callable[["Row"], None]


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

    def certificate(self, key: Path, valid: str = "-1h:+1h", *, name: str = "") -> Path:
        """Make a certificate for a key, by the authority that the server trusts."""
        made = key.with_name(f"{key.name}-cert.pub")
        authority = self.folder / "authority"
        names = ("-I", "me", "-n", name or self.account.user)
        run("ssh-keygen", "-q", "-s", str(authority), *names, "-V", valid, f"{key}.pub")
        return made

    def trust_certificates(self) -> None:
        """Make the server trust an authority, and no passwords."""
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
        """Answer ssh with the password when it asks."""
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


def key_restricted_to_another_place(row: Row) -> None:
    row.know_password()
    public = row.laptop.make_key("id_ed25519").with_suffix(".pub").read_text()
    row.account.authorize(f'from="10.0.0.1" {public}')


def key_file_that_is_read_only(row: Row) -> None:
    row.know_password()
    row.account.write(".ssh/authorized_keys", "# mine\n", mode=0o400)


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


def second_factor_that_is_known(row: Row) -> None:
    second_factor(row)
    row.know_password()


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
    row.monkeypatch.setattr("ml_remote.ssh.not_run.PATIENCE", 4)


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


def certificate_of_somebody_else(row: Row) -> None:
    row.trust_certificates()
    key = row.laptop.make_key("id_ed25519")
    row.certificate(key, name="somebody-else")


def no_answer_for_the_password(row: Row) -> None:
    """Run without a terminal, and without a program that ssh may ask."""


def code_before_the_key(row: Row) -> None:
    keyboard_interactive_alone(row)
    second_factor(row)
    row.options["AuthenticationMethods"] = "keyboard-interactive,publickey"


def configuration_that_includes_itself(row: Row) -> None:
    text = row.laptop.config.read_text()
    row.laptop.config.write_text(f'Include "{row.laptop.config}"\n{text}')


def key_file(change: Callable[[bytes], bytes]) -> Setup:
    """Name a key with --identity whose file was changed so."""

    def named(row: Row) -> None:
        key = row.laptop.make_key("named")
        key.write_bytes(change(key.read_bytes()))
        row.arguments = ["--identity", str(key)]

    return named


def key_of_windows(row: Row) -> None:
    """Check that the key is passed over, and another one is made."""
    row.know_password()
    key = row.laptop.make_key("id_ed25519")
    key.write_bytes(key.read_bytes().replace(b"\n", b"\r\n"))


def key_for_all_to_read(row: Row) -> None:
    row.know_password()
    row.laptop.make_key("id_ed25519").chmod(0o644)


def public_half_named(row: Row) -> None:
    row.arguments = ["--identity", f"{row.laptop.make_key('named')}.pub"]


LOGS_IN: list[tuple[Setup, str]] = [
    (certificate_in_the_agent, "now logs in without a password"),
    (certificate_of_one_of_two_keys_in_the_agent, "now logs in without a password"),
    (keyboard_interactive_alone, "now logs in without a password"),
    (certificate_in_the_agent_of_a_key_here, "now logs in without a password"),
    (certificate_beside_the_key, "now logs in without a password"),
    (certificate_that_the_configuration_names, "now logs in without a password"),
    (only_ecdsa, "it may not accept the type ssh-ed25519"),
    (one_attempt, "now logs in without a password"),
    (silent_agent, "Your SSH agent does not answer"),
    (start_up_file_that_ends_with_a_failure, "now logs in without a password"),
    (key_of_windows, "has Windows line endings"),
    (key_for_all_to_read, "chmod 600"),
    (keygen_in_fips_mode, "now logs in without a password"),  # a stand-in for RHEL's ssh-keygen
]
FAILS: list[tuple[Setup, str]] = [
    (expired_certificate, "expired on"),
    (expired_certificate_in_the_agent, "expired on"),
    (agent_that_does_not_sign, "did not sign with it"),
    (expired_password, "Your password on handwriting-lab has expired"),
    (only_sha1, "RSA with SHA-1"),
    (home_of_a_group, "others may write to ~ there"),
    (key_restricted_to_another_place, "has options that restrict it"),
    (key_file_that_is_read_only, "is read-only, or not yours"),
    (start_up_file_that_waits, "Line 1 of ~/.bashrc seems to be the reason: sleep 15"),
    (silent_agent_for_a_host_of_ones_own, "Your SSH agent does not answer"),
    (another_user_alone, "refused the login"),
    (no_root, "refused the login"),
    (second_factor, "also asks for a second factor, at every login"),
    (second_factor, "there is no terminal to ask in"),
    (type_that_ssh_keygen_refuses, "--key-type ed25519 cannot be used"),  # the same stand-in
    (keys_turned_off_here, "turns keys off"),
    (certificate_of_somebody_else, "It is for somebody-else, not for lab"),
    (no_answer_for_the_password, "Check the user name and the password."),
    (configuration_that_includes_itself, "includes itself"),
    (key_file(lambda text: text.replace(b"\n", b"\r\n")), "has Windows line endings"),
    (key_file(lambda text: text.rstrip(b"\n")), "has no line ending"),
    (key_file(lambda text: b"PuTTY-User-Key-File-3: ssh-ed25519\n"), "in PuTTY's format"),
    (public_half_named, "is a public key; ssh needs"),
    (type_of_another_key, "--key-type ecdsa-521 cannot be used"),
]
ASKS: list[tuple[Setup, str]] = [
    (no_keys, "no key is made or copied"),
    (code_before_the_key, "accepts no key before that"),
    (second_factor_that_is_known, "accepts the key but also asks for a second factor"),
]
RESTORED = (only_sha1, home_of_a_group)
