"""`lab connect` and `lab disconnect` against a real OpenSSH server."""

from __future__ import annotations

import os
import shutil
import stat
import sys

import openssh_server
import pytest
from baking import BakedProject
from conftest import Bake
from needs import need_root
from openssh_server import Account, Laptop, OpenSSHServer
from tool.logging_in import ALIAS, login
from tool_helpers import Lab, LocalProject, at_terminal, files_in

from ml_remote.login.paste_command import ADDRESS_COMMAND

INCLUDE = "Include {ssh}/ml-remote.d/*.conf\n"


@pytest.mark.slow
def test_key_is_made_and_copied_with_one_password(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, password: dict[str, str]
) -> None:
    before = laptop.config.read_text()
    done = lab("connect", server.address, "--yes", **password)
    assert done.returncode == 0, done.stderr
    assert server.fingerprint in done.stdout
    assert len(laptop.questions) == 1
    assert "password" in laptop.questions[0]
    assert login(laptop).returncode == 0

    assert laptop.config.read_text() == INCLUDE.format(ssh=laptop.ssh) + before
    key = laptop.ssh / "ml-remote.d" / f"{ALIAS}.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    public = key.with_name(f"{key.name}.pub").read_text()
    assert public.startswith("ssh-ed25519 ")
    assert account.authorized_keys.read_text() == public
    assert stat.S_IMODE(account.authorized_keys.stat().st_mode) == 0o600
    assert stat.S_IMODE(account.authorized_keys.parent.stat().st_mode) == 0o700
    assert done.stdout.splitlines()[-1] == "Next: lab up"


@pytest.mark.slow
def test_second_connect_changes_nothing(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, password: dict[str, str]
) -> None:
    assert lab("connect", server.address, "--yes", **password).returncode == 0
    here, there = files_in(laptop), account.authorized_keys.read_bytes()
    for again in (["connect"], ["connect", server.address]):  # --yes is not even needed
        done = lab(*again)
        assert done.returncode == 0, done.stderr
        assert "Nothing to change" in done.stdout
        assert (files_in(laptop), account.authorized_keys.read_bytes()) == (here, there)
    assert len(laptop.questions) == 1


@pytest.mark.slow
def test_ecdsa_key_is_made_on_request(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, password: dict[str, str]
) -> None:
    laptop.make_key("id_ed25519")  # is not taken: a new key was asked for
    done = lab("connect", server.address, "--yes", "--key-type", "ecdsa-521", **password)
    assert done.returncode == 0, done.stderr
    assert account.authorized_keys.read_text().startswith("ecdsa-sha2-nistp521 ")
    assert login(laptop).returncode == 0


@pytest.mark.slow
def test_connect_without_a_terminal_asks_for_yes_and_changes_nothing(
    lab: Lab, laptop: Laptop, server: OpenSSHServer
) -> None:
    before = files_in(laptop)
    done = lab("connect", server.address)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert server.fingerprint in done.stdout
    assert files_in(laptop) == before


@pytest.mark.slow
def test_wrong_password_is_said_and_the_next_attempt_succeeds(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, password: dict[str, str]
) -> None:
    done = lab("connect", server.address, "--yes", **laptop.askpass("not it"))
    assert done.returncode == 1
    assert "refused the login" in done.stderr
    assert "Permission denied, please try again." in done.stderr  # what ssh says is seen at once
    done = lab("connect", "--yes", **laptop.askpass(account.password or ""))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_machine_without_passwords_gets_the_line_to_pass_on(
    lab: Lab, laptop: Laptop, account: Account
) -> None:
    with openssh_server.openssh_server(account, PasswordAuthentication="no") as server:
        done = lab("connect", server.address, "--yes")
        assert done.returncode == 1
        public = (laptop.ssh / "ml-remote.d" / f"{ALIAS}.key.pub").read_text().strip()
        assert public in done.stderr
        account.authorize(public)  # the administrator was kind
        done = lab("connect", "--yes")
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_second_factor_is_told_and_its_connection_shared(
    lab: Lab, bake: Bake, laptop: Laptop, account: Account, password: dict[str, str]
) -> None:
    key = laptop.make_key("id_ed25519")
    account.authorize(key.with_suffix(".pub").read_text())
    there = account.authorized_keys.read_bytes()
    with openssh_server.openssh_server(
        account,
        AuthenticationMethods="publickey,password",
        SetEnv="LAB_MINIMUM_FREE_GB=1000000",  # no environment is wanted
    ) as server:
        done = lab("connect", server.address, "--yes")
        assert done.returncode == 1
        assert "second factor" in done.stderr
        assert str(key) in (laptop.ssh / "ml-remote.d" / f"{ALIAS}.conf").read_text()
        assert account.authorized_keys.read_bytes() == there
        # The next step that it names opens the connection that all that follows shares.
        assert "In a terminal: lab connect" in done.stderr
        assert lab("connect", "--yes", **password).returncode == 0
        done = LocalProject(bake()).lab("up", "--no-code")
        laptop.run_ssh("-O", "exit", ALIAS)
    assert "Connected: commands share one connection" in done.stdout
    assert "The environment needs 1000000 GB of disk" in done.stderr


@pytest.mark.slow
def test_proof_is_not_fooled_by_a_shared_connection(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, password: dict[str, str]
) -> None:
    assert lab("connect", server.address, "--yes", **password).returncode == 0
    key = account.authorized_keys.read_text()
    assert laptop.run_ssh(ALIAS, "true").returncode == 0  # opens the shared connection
    account.authorize()
    assert laptop.run_ssh(ALIAS, "true").returncode == 0  # it is still open
    assert login(laptop).returncode != 0
    done = lab("connect", "--yes", **password)  # copies the key again
    assert done.returncode == 0, done.stderr
    assert account.authorized_keys.read_text() == key


@pytest.mark.slow
def test_jump_host_is_passed(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account, password: dict[str, str]
) -> None:
    key = laptop.make_key("id_ed25519")
    account.authorize(key.with_suffix(".pub").read_text())
    with (
        openssh_server.account() as inner,
        openssh_server.openssh_server(inner) as target,
    ):
        inside = laptop.askpass(inner.password or "")
        unknown = lab("connect", target.address, "--jump", server.address, "--yes")
        assert unknown.returncode == 1
        assert "jump host" in unknown.stderr
        laptop.pin_host_key(server)
        done = lab("connect", target.address, "--jump", server.address, "--yes", **inside)
        assert done.returncode == 0, done.stderr
        assert target.fingerprint in done.stdout
        assert login(laptop).returncode == 0
        assert server.logins > 0  # the way went through it


@pytest.mark.slow
def test_machine_of_the_persons_own_configuration_is_used_as_it_is(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account
) -> None:
    key = laptop.make_key("id_ed25519")
    account.authorize(key.with_suffix(".pub").read_text())
    own = f"Host {ALIAS}\n  HostName 127.0.0.1\n  Port {server.port}\n  User {account.user}\n"
    laptop.config.write_text(own + laptop.config.read_text())
    before = laptop.config.read_bytes()
    done = lab("connect", "--yes")
    assert done.returncode == 0, done.stderr
    assert "your own SSH configuration" in done.stdout
    offline = lab("connect", "--offline")
    assert offline.returncode == 0
    assert "your own SSH configuration" in offline.stdout
    assert laptop.config.read_bytes() == before
    assert not (laptop.ssh / "ml-remote.d").exists()


@pytest.mark.slow
def test_settings_for_every_host_do_not_break_our_commands(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    laptop.config.write_text(
        laptop.config.read_text()
        + "    RemoteCommand echo hello\n    RequestTTY force\n    LogLevel QUIET\n"
        + "    LocalForward 127.0.0.1:1 127.0.0.1:2\n    ExitOnForwardFailure yes\n"
        + "    PasswordAuthentication no\n    BatchMode yes\n"
    )
    done = lab("connect", server.address, "--yes", **password)
    assert done.returncode == 0, done.stderr


def test_dry_run_shows_the_difference_and_contacts_nobody(
    lab: Lab, laptop: Laptop, server: OpenSSHServer
) -> None:
    before = files_in(laptop)
    done = lab("connect", server.address, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "+" + INCLUDE.format(ssh=laptop.ssh) in done.stdout
    assert "+    HostName 127.0.0.1\n" in done.stdout
    assert files_in(laptop) == before
    assert not any(line.startswith("Connection from") for line in server.log)


def test_offline_writes_the_entry_and_contacts_nobody(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account
) -> None:
    done = lab("connect", server.address, "--offline", "--yes")
    assert done.returncode == 0, done.stderr
    entry = laptop.ssh / "ml-remote.d" / f"{ALIAS}.conf"
    assert f"User {account.user}" in entry.read_text()
    assert str(entry) in done.stdout
    assert f"vscode://vscode-remote/ssh-remote+{ALIAS}/" in done.stdout
    assert f'"remote.SSH.configFile": "{laptop.config}"' in done.stdout
    assert not any(line.startswith("Connection from") for line in server.log)


def test_alias_that_leads_elsewhere_is_only_changed_on_request(lab: Lab, laptop: Laptop) -> None:
    assert lab("connect", "ada@one.example.com", "--offline", "--yes").returncode == 0
    before = files_in(laptop)
    done = lab("connect", "ada@two.example.com", "--offline", "--yes")
    assert done.returncode == 1
    assert "--replace" in done.stderr
    assert files_in(laptop) == before
    done = lab("connect", "ada@two.example.com", "--offline", "--yes", "--replace")
    assert done.returncode == 0, done.stderr
    assert "two.example.com" in (laptop.ssh / "ml-remote.d" / f"{ALIAS}.conf").read_text()


def test_connect_without_an_address_prints_the_command_to_type_there(lab: Lab) -> None:
    done = lab("connect")
    assert done.returncode == 2
    assert done.stdout == f"{ADDRESS_COMMAND}\n"
    assert done.stderr.splitlines()[-1] == "Next: lab connect USER@ADDRESS"


@pytest.mark.slow
def test_address_is_asked_for_beside_the_command(
    default_project: BakedProject, laptop: Laptop
) -> None:
    code, screen = at_terminal(
        [sys.executable, "-B", "lab.py", "connect", "--offline"],
        answers={"user@address:port):": "ada@192.168.1.20:22", "Continue? [Y/n]:": "y"},
        folder=default_project.path,
    )
    assert code == 0, screen
    assert ADDRESS_COMMAND.partition(";")[0] in screen
    assert "HostName 192.168.1.20" in (laptop.ssh / "ml-remote.d" / f"{ALIAS}.conf").read_text()


def test_configuration_that_ssh_cannot_read_is_named_with_its_line(
    lab: Lab, laptop: Laptop
) -> None:
    laptop.config.write_text("Host *\n    UseKeychain yes\n")
    done = lab("connect", "ada@gpu.example.com", "--yes")
    assert done.returncode == 1
    assert "UseKeychain" in done.stderr
    assert "IgnoreUnknown UseKeychain" in done.stderr


@pytest.mark.slow
def test_disconnect_gives_everything_back_and_deletes_the_key_when_asked(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, password: dict[str, str]
) -> None:
    laptop.pin_host_key(server)
    before = files_in(laptop)
    assert lab("connect", server.address, "--yes", **password).returncode == 0
    dry = lab("disconnect", "--dry-run")
    assert dry.returncode == 0
    assert f"-Host {ALIAS}" in dry.stdout
    done = lab("disconnect", "--yes")
    assert done.returncode == 0, done.stderr
    left = {name: data for name, data in files_in(laptop).items() if name not in before}
    keys = {f"ml-remote.d/{ALIAS}.key", f"ml-remote.d/{ALIAS}.key.pub"}
    assert set(left) - {"ml-remote.d/.lock"} == keys
    assert lab("disconnect", "--yes", "--remove-key").returncode == 0
    assert files_in(laptop) == before
    assert not (laptop.ssh / "ml-remote.d").exists()
    assert "nothing to remove" in lab("disconnect", "--yes").stdout


@pytest.mark.slow
def test_passphrase_and_answers_are_typed_at_the_terminal(
    default_project: BakedProject,
    laptop: Laptop,
    server: OpenSSHServer,
    account: Account,
    agent: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_root("make an account with a password")
    assert account.password is not None
    # Every ssh-keygen and ssh-add of the command writes down its arguments first.
    programs, arguments = laptop.home / "bin", laptop.home / "arguments"
    programs.mkdir()
    for name in ("ssh-keygen", "ssh-add"):
        real = shutil.which(name)
        (programs / name).write_text(f'#!/bin/sh\necho "$@" >>{arguments}\nexec {real} "$@"\n')
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    lab = [sys.executable, "-B", "lab.py", "connect", server.address]
    code, screen = at_terminal(
        lab, answers={"host key? [y/N]:": "n"}, folder=default_project.path, variables=agent
    )
    assert code == 1
    assert "not accepted" in screen
    assert not laptop.known_hosts.exists()

    code, screen = at_terminal(
        lab,
        answers={
            "host key? [y/N]:": "y",
            "Continue? [Y/n]:": "y",
            "(empty for no passphrase):": "open sesame",
            "same passphrase again:": "open sesame",
            f"Enter passphrase for {laptop.ssh}/ml-remote.d/{ALIAS}.key:": "open sesame",
            "password:": account.password,
        },
        folder=default_project.path,
        variables=agent,
    )
    assert code == 0, screen
    announced = screen.index("; ssh-keygen asks for a passphrase for it, which may be empty")
    assert announced < screen.index("Continue?")
    assert "now logs in without a password" in screen
    assert "-t ed25519" in arguments.read_text()
    assert "sesame" not in arguments.read_text()
    key = laptop.ssh / "ml-remote.d" / f"{ALIAS}.key"
    with pytest.raises(AssertionError, match="passphrase"):
        openssh_server.run("ssh-keygen", "-y", "-P", "", "-f", str(key))
    assert login(laptop, **agent).returncode == 0
