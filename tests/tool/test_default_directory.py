"""The real `~/.ssh` of a throwaway account: what ssh reads there without being told to."""

from __future__ import annotations

import os
import pickle
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from needs import IS_ROOT
from openssh_server import Account
from ssh_tree import OURS, entry, lay_out, picture

from ml_remote.errors import ConfigurationError, UnsafeEditError
from ml_remote.ssh import ssh_config
from ml_remote.ssh.client import Client
from ml_remote.ssh.ssh_directory import control_path, ssh_directory, ssh_options

pytestmark = [
    pytest.mark.slow,
    # The child that is forked only edits, and exits at once.
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
    pytest.mark.skipif(not IS_ROOT, reason="only root can make an account"),
]

Result = TypeVar("Result")

BEFORE = """\
# mine
Include conf.d/*

Host a
    User u
"""


def as_account(account: Account, action: Callable[[], Result], *, home: str = "") -> Result:
    """Return what `action` returns in a process of the account's own; `home` is another `$HOME`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            identity = pwd.getpwnam(account.user)
            os.setgroups([])
            os.setgid(identity.pw_gid)
            os.setuid(identity.pw_uid)
            os.environ["HOME"] = home or str(account.home)
            os.environ.pop("LAB_SSH_DIR")
            os.chdir("/")
            with os.fdopen(writing, "wb") as answer:
                pickle.dump(action(), answer)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        data = answer.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, "see the traceback above"
    result: Result = pickle.loads(data)
    return result


def meaning(alias: str) -> dict[str, str]:
    """Return what ssh makes of an alias, by keyword, without `-F`."""
    done = subprocess.run(["ssh", "-G", alias], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0, done.stderr
    pairs = (line.partition(" ") for line in done.stdout.decode().splitlines())
    return {keyword: value for keyword, _, value in pairs}


def connect() -> tuple[Path, str | None, list[str]]:
    directory = ssh_directory()
    ssh_config.apply(ssh_config.plan_connect(entry(), directory=directory))
    return directory, control_path(directory), ssh_options(directory)


def disconnect() -> None:
    directory = ssh_directory()
    ssh_config.apply(ssh_config.plan_disconnect("gpu", directory=directory))


def owned(account: Account, files: dict[str, str | bytes]) -> Path:
    directory = account.home / ".ssh"

    def write() -> None:
        lay_out(directory, files)

    as_account(account, write)
    return directory


def test_ssh_finds_the_entry_without_being_told_where(account: Account) -> None:
    files: dict[str, str | bytes] = {"config": BEFORE, "conf.d/work": "Host w\n    User worker\n"}
    directory = owned(account, files)
    before = picture(directory)

    found, sockets, options = as_account(account, connect)

    assert found == directory
    assert options == []
    assert (directory / "config").read_text() == f"Include {OURS}/*.conf\n{BEFORE}"
    gpu = as_account(account, lambda: meaning("gpu"))
    assert (gpu["hostname"], gpu["user"]) == ("gpu.example.com", "ada")
    assert sockets == f"~/.ssh/{OURS}/%C"
    assert gpu["controlpath"].startswith(f"{directory}/{OURS}/")
    assert as_account(account, lambda: meaning("w"))["user"] == "worker"
    assert as_account(account, lambda: meaning("a"))["user"] == "u"
    as_account(account, disconnect)
    assert picture(directory) == before


def test_another_home_variable_does_not_lead_ssh_astray(account: Account) -> None:
    # ssh reads the configuration of the password database, but a relative Include of $HOME.
    directory, _, _ = as_account(account, connect, home="/nonexistent")
    assert directory == account.home / ".ssh"
    assert (directory / "config").read_text() == f"Include {directory}/{OURS}/*.conf\n"
    for home in ("/nonexistent", ""):
        assert as_account(account, lambda: meaning("gpu"), home=home)["user"] == "ada"
    as_account(account, disconnect)
    assert picture(directory) == {}


def test_a_home_without_an_ssh_directory_gets_a_private_one(account: Account) -> None:
    as_account(account, connect)
    modes = {name: mode for name, (_, mode, _) in picture(account.home).items()}
    assert modes[".ssh"] == 0o700
    assert modes[".ssh/config"] == 0o600
    assert as_account(account, lambda: meaning("gpu"))["user"] == "ada"
    as_account(account, disconnect)
    assert picture(account.home / ".ssh") == {}


def test_ssh_itself_refuses_an_entry_that_others_may_write(account: Account) -> None:
    # Why our own files are made private again on every edit.
    as_account(account, connect)
    path = account.home / ".ssh" / OURS / "gpu.conf"
    path.chmod(0o666)

    def complaint() -> bytes:
        return subprocess.run(["ssh", "-G", "a"], capture_output=True).stderr

    assert b"Bad owner or permissions" in as_account(account, complaint)
    as_account(account, connect)
    assert as_account(account, lambda: meaning("gpu"))["user"] == "ada"


def test_our_directory_that_may_not_be_read_is_why_the_alias_is_unknown(
    account: Account,
) -> None:
    directory, _, _ = as_account(account, connect)
    (directory / OURS).chmod(0)

    def fault() -> str:
        try:
            Client(alias="gpu").run("true")
        except ConfigurationError as error:
            return error.message
        return ""

    assert as_account(account, fault) == f"You may not read the directory {directory / OURS}."


def test_what_belongs_to_somebody_else_is_not_written(account: Account) -> None:
    directory = owned(account, {"config": BEFORE})
    os.chown(directory / "config", 0, 0)
    (directory / "config").chmod(0o644)

    def refused() -> str:
        try:
            connect()
        except UnsafeEditError as error:
            return f"{error}\n{error.instructions}"
        return ""

    said = as_account(account, refused)
    assert f"{directory}/config is read-only" in said
    assert f"Include {OURS}/*.conf" in said
    assert (directory / "config").read_text() == BEFORE
