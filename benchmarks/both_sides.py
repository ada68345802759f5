"""An empty project on both sides of a connection to a real OpenSSH server on this computer."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(os.environ.get("PYTHONPATH", "").split(os.pathsep)[0] or TEMPLATE_ROOT / "src")
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(SOURCE)]

import openssh_server  # noqa: E402
from baking import environment_variables, isolated_variables  # noqa: E402
from openssh_server import OpenSSHServer  # noqa: E402
from tool_helpers import known_machine  # noqa: E402

from ml_remote.machine import Machine  # noqa: E402
from ml_remote.ssh.client import Client  # noqa: E402

__all__ = ["LIMIT", "RESULTS", "Pair", "commit", "connection", "digest", "git", "new_project"]

LIMIT = 120.0  # seconds for one command
IGNORED = "/outputs\n/data\n/.lab\n/.venv\n*.log\n/lab.local.toml\n"
RESULTS = ("outputs/lab/1/weights.pt", "outputs/lab/1/mistakes.csv", "outputs/lab/2/deep/plot.png")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A project on both sides of a connection."""

    here: Path
    there: Path
    client: Client
    server: OpenSSHServer

    @property
    def machine(self) -> Machine:
        """The machine, with the project's folder there."""
        return Machine(client=self.client, folder=str(self.there))

    def start_lab(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command in the project, with nobody at the terminal."""
        return subprocess.Popen(
            [sys.executable, "-m", "ml_remote", *arguments],
            cwd=self.here,
            env={**os.environ, "PYTHONPATH": str(SOURCE), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def lab(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run a command; return exit code and output."""
        with self.start_lab(*arguments, **variables) as command:
            said = command.communicate(timeout=LIMIT)[0]
        return command.returncode, said


@contextmanager
def connection() -> Iterator[Pair]:
    """Yield a laptop, and a machine that it can reach; both sides have an empty project."""
    with (
        tempfile.TemporaryDirectory(prefix="lab-") as temporary,
        openssh_server.account(own=True) as account,
        openssh_server.openssh_server(account, SetEnv=f'"HOME={account.home}"') as server,
    ):
        laptop = openssh_server.laptop(Path(temporary))
        isolated = {**isolated_variables(laptop.home), "SSH_AUTH_SOCK": None}
        with environment_variables({**isolated, "LAB_SSH_DIR": str(laptop.ssh)}):
            pair = Pair(
                here=laptop.home / "project",
                there=account.home / "project",
                client=known_machine(laptop, server),
                server=server,
            )
            new_project(pair)
            try:
                yield pair
            finally:
                pair.client.close()


def new_project(pair: Pair) -> None:
    """Reset both sides to one commit, which the machine has."""
    for folder in (pair.here, pair.there):
        shutil.rmtree(folder, ignore_errors=True)
    pair.here.mkdir()
    settings = f'[remote]\nalias = "machine"\nfolder = "{pair.there}"\n'
    (pair.here / "lab.toml").write_text(settings)
    (pair.here / ".gitignore").write_text(IGNORED)
    git(pair.here, "init", "--quiet", "--initial-branch=main")
    commit(pair.here)
    code, said = pair.lab("push")
    assert code == 0, said


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git as the person."""
    identity = ("-c", "user.name=Tess", "-c", "user.email=tess@example.com")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True)


def commit(folder: Path) -> None:
    """Commit everything that is not ignored."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Some work")


def digest(path: Path) -> str:
    """Return what tells the content of a file, or where a link leads."""
    if path.is_symlink():
        return f"link {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest()
