"""A server with this project and its environment on it, and a laptop whose sessions lead there."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

import openssh_server
from baking import BakedProject, bake_project
from environment import LabEnvironment
from openssh_server import Account, Laptop, OpenSSHServer

from ml_remote.far.login.kernels import end, list_kernels

__all__ = ["FOLDER", "Command", "Desk", "desk"]

FOLDER = "Projekte/mein Labor ü"
"""Where the project is on the server, from the home directory."""


@contextmanager
def own_account() -> Iterator[Account]:
    """Yield the user who runs the tests, in another home; they can read the environment."""
    with tempfile.TemporaryDirectory(prefix="lab-home-") as home:
        account = Account(user=pwd.getpwuid(os.getuid()).pw_name, home=Path(home), password=None)
        account.write(".bashrc", "echo ended; echo Welcome to this machine\n")  # as some do
        yield account


def server_options(account: Account) -> dict[str, str]:
    """Return what sshd must be told so that sessions have that home, and import what is in it."""
    variables = {"HOME": account.home, "PYTHONPATH": account.home / FOLDER / "src"}
    return {
        "SetEnv": " ".join(f'"{name}={value}"' for name, value in variables.items()),
        "StrictModes": "no",
        "PermitRootLogin": "prohibit-password",
    }


def project_on_server(account: Account, environment: LabEnvironment, folder: str = FOLDER) -> Path:
    """Put the project into the account's home directory, as `lab push` and `lab setup` leave it."""
    project = account.home / folder
    source = environment.project.path
    for name in ("labs", "scripts", "src"):
        shutil.copytree(source / name, project / name)
    for name in ("lab.toml", "pyproject.toml"):
        shutil.copy(source / name, project)
    (project / ".venv").symlink_to(source / ".venv")
    return project


class Command:
    """A `lab` command that keeps running, as in a terminal of its own."""

    def __init__(self, project: BakedProject, *arguments: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-B", "lab.py", *arguments],
            cwd=project.path,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self.lines: list[str] = []

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read what it says up to a line with the pattern in it; fail when it ends before that."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} is not in what it said:\n" + "\n".join(self.lines))

    def read_page(self) -> Path:
        """Read until it names the page that logs in, and return that page's path."""
        page = self.read_until(r"open file://(\S+)")
        self.read_until("Next:")
        return Path(unquote(page[1]))

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Read to the end, and return the exit code."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout.read().splitlines()
        return self.process.wait()

    def kill(self) -> None:
        """End it, if it still runs."""
        with self.process:  # closes what is read from it, too
            self.process.kill()

    @property
    def said(self) -> str:
        """All that has been read so far."""
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Desk:
    """A laptop with the project, and the server it is connected to."""

    project: BakedProject
    laptop: Laptop
    server: OpenSSHServer
    there: Path
    """The project's folder on the server."""
    commands: list[Command] = field(default_factory=list)
    """Those that were started."""

    def lab(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a `lab` command to its end."""
        variables = {"LAB_SSH_DIR": str(self.laptop.ssh), **variables}
        return self.project.run(
            sys.executable, "-B", "lab.py", *arguments, check=False, **variables
        )

    def start(self, *arguments: str, **variables: str) -> Command:
        """Start a `lab` command that runs until it is ended."""
        variables = {"LAB_SSH_DIR": str(self.laptop.ssh), **variables}
        self.commands.append(Command(self.project, *arguments, **variables))
        return self.commands[-1]

    def second_project(self, environment: LabEnvironment, *, idle_hours: float) -> Desk:
        """Return this desk with another project, which is elsewhere on the same server."""
        path = self.project.path.with_name("second")
        shutil.copytree(self.project.path, path, ignore=shutil.ignore_patterns(".lab"))
        settings = (path / "lab.toml").read_text().replace(f'"{FOLDER}"', '"second"')
        settings = settings.replace("idle_hours = 12", f"idle_hours = {idle_hours}")
        (path / "lab.toml").write_text(settings)
        there = project_on_server(self.server.account, environment, "second")
        return replace(self, project=replace(self.project, path=path), there=there)

    def end_sessions(self) -> None:
        """End what runs on the server, and the commands that a failed test has left."""
        for command in self.commands:
            command.kill()
        self.commands.clear()
        for kind in ("jupyter", "tensorboard"):
            self.lab(kind, "--stop")
        self.end_kernels()

    def end_kernels(self) -> None:
        """End the kernels of the project that outlive their windows."""
        for kernel in list_kernels(str(self.there.resolve())):
            end(kernel)


@contextmanager
def desk(environment: LabEnvironment) -> Iterator[Desk]:
    """Yield a laptop and a server with everything in place for `lab jupyter`."""
    with (
        # Not below pytest's own folder: that path is too long for the sockets of connections.
        tempfile.TemporaryDirectory(prefix="laptop-") as folder,
        own_account() as account,
        openssh_server.openssh_server(account, **server_options(account)) as server,
    ):
        laptop = openssh_server.laptop(Path(folder))
        project = bake_project(Path(folder) / "work", home=Path(folder))
        settings = project.path / "lab.toml"
        settings.write_text(
            re.sub(r'(?m)^folder = "[^"]*"', f'folder = "{FOLDER}"', settings.read_text())
        )
        laptop.connect_to(server, alias=project.path.name)
        there = project_on_server(account, environment)
        made = Desk(project=project, laptop=laptop, server=server, there=there)
        try:
            yield made
        finally:
            made.end_sessions()
            laptop.run_ssh("-O", "exit", project.path.name)
