"""What the tests of the `lab` command share besides fixtures."""

from __future__ import annotations

import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import openssh_server
import pytest
from baking import TOOL, BakedProject
from environment import LabEnvironment
from openssh_server import Laptop, OpenSSHServer
from started import start_in_session

from ml_remote import jobs, scripts
from ml_remote.jobs import following
from ml_remote.jobs.job import Job
from ml_remote.machine import Machine
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console

__all__ = [
    "SHELLS",
    "Lab",
    "LocalProject",
    "ReadyProject",
    "alter_scripts",
    "at",
    "at_terminal",
    "files_in",
    "known_machine",
    "machine_of_its_own",
    "ready_project_of",
    "run_tool",
    "runs_there",
    "that_sends",
    "wait_until",
    "without_waiting",
]

SHELLS = ("sh", "bash", "zsh", "fish", "csh", "tcsh")
"""The login shells that people have on a remote machine."""

Lab = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs the `lab` command of a baked project; keyword arguments are environment variables."""


def without_waiting(said: str) -> str:
    """Return what was said without the notes of a slow machine; see ssh/waiting.py."""
    return re.sub(r"(?m)^Waiting for .* \.\.\.\n", "", said)


def wait_until(condition: Callable[[], object], *, limit: float = 300) -> None:
    """Wait until the condition holds; fail when it does not within `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"it does not hold after {limit} s"
        time.sleep(0.1)


@dataclass(frozen=True)
class LocalProject:
    """A project on the laptop, and its `lab` command."""

    project: BakedProject

    def lab(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the `lab` command with nobody at the terminal."""
        command = (sys.executable, "-B", "lab.py", *arguments)
        return self.project.run(*command, check=False, **variables)

    def start_lab(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the `lab` command in a session of its own, and return without waiting for it."""
        return start_in_session([sys.executable, "-B", "lab.py", *arguments], self.project.path)


@dataclass(frozen=True)
class ReadyProject(LocalProject):
    """A project on the laptop, and the same, with its environment, on a machine it can reach."""

    folder: Path
    """The project's folder on the machine."""
    server: OpenSSHServer
    client: Client

    @property
    def machine(self) -> Machine:
        """The machine, with the project's folder there."""
        return at(self.client, str(self.folder))


def at(client: Client, folder: str) -> Machine:
    """Return the machine with the project in this folder there."""
    return Machine(client=client, folder=folder)


def alter_scripts(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str], *names: str
) -> None:
    """Change the scripts of these names, or all, before they are sent to the machine."""
    original = scripts.script

    def altered(name: str) -> str:
        return change(original(name)) if name in names or not names else original(name)

    monkeypatch.setattr(scripts, "script", altered)
    monkeypatch.setattr(jobs, "script", altered)
    monkeypatch.setattr(following, "script", altered)


@contextmanager
def machine_of_its_own() -> Iterator[tuple[Laptop, OpenSSHServer, Client]]:
    """Yield a laptop, and a machine that is known and lets it in: for the tests of a whole file."""
    with (
        tempfile.TemporaryDirectory(prefix="laptop-") as folder,
        pytest.MonkeyPatch.context() as monkeypatch,
        openssh_server.account() as account,
        openssh_server.openssh_server(account) as server,
    ):
        laptop = openssh_server.laptop(Path(folder))
        monkeypatch.setenv("LAB_SSH_DIR", str(laptop.ssh))
        yield laptop, server, known_machine(laptop, server)


def run_tool(root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the `lab` of this checkout in a folder, with nobody at the terminal."""
    return subprocess.run(
        [sys.executable, "-B", "-m", "ml_remote", *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(TOOL), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def runs_there(ready_project: ReadyProject) -> list[Job]:
    """Return the runs that the machine knows of, the oldest first."""
    return jobs.list_jobs(ready_project.machine, console=Console(), kind="run")


def known_machine(laptop: Laptop, server: OpenSSHServer) -> Client:
    """Authorize the laptop's key, under the alias `machine`, over shared connections."""
    laptop.connect_to(server)
    return Client(alias="machine", directory=laptop.ssh)


@contextmanager
def ready_project_of(
    project: BakedProject, *, laptop: Laptop, environment: LabEnvironment, **variables: str
) -> Iterator[ReadyProject]:
    """Yield a project here, the same with its environment on a machine, and an entry for it.

    Whoever logs in there is the user that runs the tests, so that one environment does for all.
    `variables` are environment variables of their sessions.
    """
    with openssh_server.account(own=True) as account:
        settings = {"HOME": str(account.home), "OMP_NUM_THREADS": "1", **variables}
        sessions = " ".join(f'"{name}={value}"' for name, value in settings.items())
        with openssh_server.openssh_server(account, SetEnv=sessions) as server:
            folder = account.home / project.path.name
            shutil.copytree(project.path, folder, ignore=shutil.ignore_patterns(".git"))
            # sshd begins in the real home directory: a relative folder would be looked for there.
            name = f'folder = "{project.path.name}"'
            text = project.read("lab.toml")
            assert name in text
            (project.path / "lab.toml").write_text(text.replace(name, f'folder = "{folder}"'))
            (folder / ".venv").symlink_to(environment.project.path / ".venv")
            client = known_machine(laptop, server)
            yield ReadyProject(project=project, folder=folder, server=server, client=client)


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
                with other, suppress(OSError):
                    other.sendall(text)
                    other.recv(1024)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def files_in(laptop: Laptop) -> dict[str, bytes]:
    """Return every file in the SSH directory with its content, sockets left out."""
    return {
        str(path.relative_to(laptop.ssh)): path.read_bytes()
        for path in sorted(laptop.ssh.rglob("*"))
        if path.is_file()
    }


def at_terminal(
    command: Sequence[str | Path],
    *,
    answers: Mapping[str, str],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    when_shown: tuple[str, Callable[[], object]] | None = None,
) -> tuple[int, str]:
    """Run a command on a terminal of its own, answering its questions; return exit code and screen.

    `answers` maps the end of a question to what is typed; every question is answered once.
    `when_shown` is a text and what to do as soon as it is on the screen.
    """
    environment = {**os.environ, "PYTHONPATH": str(TOOL), **(variables or {})}
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(command[0], [str(part) for part in command], environment)
    screen = b""
    left = dict(answers)
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        if not piece:
            break
        screen += piece
        if when_shown is not None and when_shown[0].encode() in screen:
            when_shown[1]()
            when_shown = None
        for question, answer in list(left.items()):
            if screen.rstrip().endswith(question.encode()):
                os.write(terminal, f"{answer}\n".encode())
                del left[question]
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), screen.decode(errors="replace")
