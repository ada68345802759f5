"""Fixtures for the `lab` command: a laptop, and a real OpenSSH server to connect it to."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import openssh_server
import pytest
from baking import BakedProject
from openssh_server import Account, Laptop, OpenSSHServer
from remote_fixtures import Lab


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    """The computer that the test runs `lab` on."""
    # Not below pytest's own folder: that path is too long for the sockets of shared connections.
    with tempfile.TemporaryDirectory(prefix="laptop-") as folder:
        made = openssh_server.laptop(Path(folder))
        monkeypatch.setenv("LAB_SSH_DIR", str(made.ssh))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield made


@pytest.fixture
def account() -> Iterator[Account]:
    """Somebody on the remote machine, with nothing in their home directory yet."""
    with openssh_server.account() as made:
        yield made


@pytest.fixture
def server(account: Account) -> Iterator[OpenSSHServer]:
    """The remote machine: a real OpenSSH server that lets `account` in."""
    with openssh_server.openssh_server(account) as running:
        yield running


@pytest.fixture
def password(account: Account, laptop: Laptop) -> dict[str, str]:
    """The variables with which ssh is told the account's password when it asks."""
    if account.password is None:
        pytest.skip("only root can make an account with a password")
    return laptop.askpass(account.password)


@pytest.fixture
def lab(default_project: BakedProject, laptop: Laptop) -> Lab:
    """Run the `lab` command of a baked project, with nobody at the terminal."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return default_project.run(
            sys.executable, "-B", "lab.py", *arguments, check=False, **variables
        )

    return run
