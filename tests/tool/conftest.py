"""Fixtures for the `lab` command: a laptop, and a real OpenSSH server to connect it to."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import openssh_server
import pytest
from baking import THIS_PYTHON, BakedProject, bake_project
from environment import LabEnvironment
from needs import need_program, need_root
from openssh_server import Account, Laptop, OpenSSHServer
from remote_project import RemoteProject, new_remote_project
from tool_helpers import SHELLS, Lab, ReadyProject, known_machine, ready_project_of

from ml_remote.ssh.client import Client


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    """Yield the computer that the test runs `lab` on."""
    # Not below pytest's own folder: that path is too long for the sockets of shared connections.
    with tempfile.TemporaryDirectory(prefix="laptop-") as folder:
        made = openssh_server.laptop(Path(folder))
        monkeypatch.setenv("LAB_SSH_DIR", str(made.ssh))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield made


@pytest.fixture
def account() -> Iterator[Account]:
    """Yield a person's account on the remote machine, with an empty home directory."""
    with openssh_server.account() as made:
        yield made


@pytest.fixture
def server(account: Account) -> Iterator[OpenSSHServer]:
    """Yield the remote machine: a real OpenSSH server that lets `account` in."""
    with openssh_server.openssh_server(account) as running:
        yield running


@pytest.fixture
def password(account: Account, laptop: Laptop) -> dict[str, str]:
    """Return the variables with which ssh is told the account's password when it asks."""
    need_root("make an account with a password")
    assert account.password is not None
    return laptop.askpass(account.password)


@pytest.fixture
def told_password(password: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ssh get the account's password when it asks, from the test's own variables."""
    for name, value in password.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def machine(laptop: Laptop, server: OpenSSHServer) -> Client:
    """Return the remote machine, known and logged in to by a key."""
    return known_machine(laptop, server)


@pytest.fixture
def lab(default_project: BakedProject, laptop: Laptop) -> Lab:
    """Run the `lab` command of a baked project, with nobody at the terminal."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return default_project.run(
            sys.executable, "-B", "lab.py", *arguments, check=False, **variables
        )

    return run


@pytest.fixture(params=SHELLS)
def other_shell(
    request: pytest.FixtureRequest, laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """Yield a machine on which the person's login shell is another one."""
    shell = need_program(request.param)
    need_root("make an account with another login shell")
    with (
        openssh_server.account(shell=shell) as account,
        openssh_server.openssh_server(account) as server,
    ):
        key = laptop.make_key("id_ed25519")
        account.authorize(key.with_suffix(".pub").read_text())
        laptop.pin_host_key(server)
        for name, value in laptop.askpass(account.password or "").items():
            monkeypatch.setenv(name, value)
        yield Client(
            alias="127.0.0.1",
            directory=laptop.ssh,
            options=(f"Port={server.port}", f"User={account.user}"),
        )


@pytest.fixture
def ready_project(
    laptop: Laptop, environment: LabEnvironment, tmp_path: Path, home: Path
) -> Iterator[ReadyProject]:
    """Yield the project here and there; whoever logs in there is the user that runs the tests."""
    # With the lists that the shared environment was made from.
    project = bake_project(
        tmp_path / "here", home=home, ssh_alias="machine", python_version=THIS_PYTHON
    )
    with ready_project_of(project, laptop=laptop, environment=environment) as made:
        yield made


@pytest.fixture
def remote_project(
    bake: Callable[..., BakedProject], laptop: Laptop, server: OpenSSHServer
) -> Iterator[RemoteProject]:
    """Yield a project on the laptop, and a machine that does not have it yet."""
    made = new_remote_project(bake, laptop, server)
    yield made
    made.client.close()


@pytest.fixture
def agent(laptop: Laptop) -> Iterator[dict[str, str]]:
    """Yield a running agent without keys: the variables that lead to it."""
    with openssh_server.agent(laptop.home) as variables:
        yield variables
