"""A project, a machine that has its environment, and a network between them that may be slow."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(TEMPLATE_ROOT / "src")]

import openssh_server  # noqa: E402
from baking import (  # noqa: E402
    THIS_PYTHON,
    TOOL,
    BakedProject,
    bake_project,
    environment_variables,
    isolated_variables,
)
from delaying_proxy import DelayingProxy, delaying_proxy  # noqa: E402
from fresh_machine import machine  # noqa: E402
from openssh_server import Laptop  # noqa: E402

__all__ = ["Rig", "Step", "answers", "measure", "print_table", "rig", "seconds"]

ALIAS = "handwriting-lab"
EMPTY_LAB = '# %% tags=["parameters"]\nseed = 0\n'


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def answers(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    """Return whether somebody answers an HTTP request there."""
    with socket.socket(family) as connection:
        try:
            connection.connect(address)
            connection.sendall(b"GET /login HTTP/1.0\r\n\r\n")
            return connection.recv(1) != b""
        except OSError:
            return False


@dataclass
class Rig:
    """The laptop's project and how to reach the machine, whose `lab up` is behind it."""

    project: BakedProject
    laptop: Laptop
    there: Path
    """The project's folder on the machine."""
    home: Path
    """The home directory there."""
    network: DelayingProxy
    commits: int = 0

    def command(self, *arguments: str) -> list[str]:
        """Return the `lab` command, of this checkout and without uv."""
        return [sys.executable, "lab.py", *arguments]

    @property
    def variables(self) -> dict[str, str]:
        """The variables that it is run with."""
        return {**os.environ, "PYTHONPATH": str(TOOL), "LAB_SSH_DIR": str(self.laptop.ssh)}

    def lab(self, *arguments: str, check: bool = True) -> float:
        """Return how long a `lab` command takes; with `check`, one that must succeed."""
        return self.time(self.command(*arguments), check=check)

    def ssh(self, *words: str) -> float:
        """Return how long the person's own ssh takes."""
        return self.time(["ssh", "-F", str(self.laptop.config), *words])

    def time(self, command: Sequence[str], *, check: bool = True, **variables: str) -> float:
        """Return how long a command takes in the project's folder.

        Raises AssertionError when it fails and `check` is set.
        """
        start = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self.project.path,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - start
        assert done.returncode == 0 or not check, f"{command} failed:\n{done.stdout}\n{done.stderr}"
        return took

    def commit(self) -> None:
        """Change a file, and commit that."""
        self.commits += 1
        (self.project.path / "note.txt").write_text(f"{self.commits}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Note")

    def git(self, *arguments: str) -> str:
        """Run git in the project's folder."""
        return self.project.run("git", *arguments).stdout.strip()

    def git_push(self) -> float:
        """Return how long `git push` of one commit takes over the same shared connection."""
        self.commit()
        ssh = f"ssh -F {self.laptop.config}"
        address = f"{ALIAS}:{self.there}"
        return self.time(
            ["git", "push", "--quiet", address, "+HEAD:refs/beside/it"], GIT_SSH_COMMAND=ssh
        )


@contextmanager
def rig(*, has_environment: bool = True) -> Iterator[Rig]:
    """Yield a laptop and a machine on loopback with the project and, if wanted, its environment."""
    with tempfile.TemporaryDirectory(prefix="lab-") as temporary:
        laptop = openssh_server.laptop(Path(temporary))
        variables = {
            **isolated_variables(laptop.home),
            "SSH_AUTH_SOCK": None,
            "PYTHONPYCACHEPREFIX": f"{temporary}/bytecode",
            "PYTHONDONTWRITEBYTECODE": None,
        }
        with environment_variables(variables), machine("openssh", laptop) as made:
            user, _, port = made.address.rpartition(":")
            with delaying_proxy(int(port)) as network:
                project = _quietly(
                    lambda: bake_project(
                        laptop.home / "project",
                        home=laptop.home,
                        remote=f"{user}:{network.port}",
                        environment_manager="uv",
                        python_version=THIS_PYTHON,
                    )
                )
                there = made.home / project.path.name
                found = Rig(project, laptop, there, made.home, network)
                (project.path / "labs/empty.py").write_text(EMPTY_LAB)
                found.commit()
                if has_environment:
                    found.lab("up", "--no-code", "--yes")
                else:
                    found.lab("connect", "--yes")
                    found.lab("push")
                if (project.path / "requirements.lock").is_file():  # up has written it
                    found.commit()
                    found.lab("push")
                try:
                    yield found
                finally:
                    network.round_trip = 0.0
                    found.ssh("-O", "exit", ALIAS)


def _quietly(bake: Callable[[], BakedProject]) -> BakedProject:
    """Bake a project while what its hooks say goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        return bake()
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@dataclass
class Step:
    """One thing that a person waits for, and what it cannot be faster than."""

    name: str
    action: Callable[[], float]
    floor_name: str = ""
    floor: Callable[[], float] | None = None
    is_remote: bool = True
    """Whether it goes over the network."""
    times: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    slow_floors: list[float] = field(default_factory=list)
    exchanges: int = 0
    """How often the laptop has sent something after an answer, the last time."""
    floor_exchanges: int = 0

    def take(self, network: DelayingProxy, *, slowly: bool = False) -> None:
        """Measure it and its floor, one after the other; `slowly`: over a slow network."""
        network.exchanges = 0
        (self.slow if slowly else self.times).append(self.action())
        self.exchanges, network.exchanges = network.exchanges, 0
        if self.floor is not None:
            (self.slow_floors if slowly else self.floors).append(self.floor())
        self.floor_exchanges = network.exchanges
        print(f"{self.name}: {(self.slow if slowly else self.times)[-1]:.2f} s", file=sys.stderr)


def measure(steps: Sequence[Step], *, runs: int, network: DelayingProxy, delay: float) -> None:
    """Measure all steps in turn, so that a busy moment hits all alike, then on a slow network.

    The first round compiles, and opens the shared connection; it does not count.
    """
    for number in range(runs + 1):
        for step in steps:
            step.take(network)
            if number == 0:
                step.times.clear()
                step.floors.clear()
    network.round_trip = delay
    for _ in range(2):
        for step in steps:
            if step.is_remote:
                step.take(network, slowly=True)
    network.round_trip = 0.0


def print_table(steps: Sequence[Step], *, delay: float) -> None:
    """Print what was measured, as a table of Markdown; times are in seconds.

    Exchanges are counted on the slow network: how often the laptop has sent something after an
    answer. A command over a shared connection has three of them, and waits for two.
    """
    ms = f"{delay * 1000:.0f} ms"
    print(f"| | median | fastest to slowest | floor | what that is | {ms} away | exchanges |"
          " of the floor |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for step in steps:
        spread = f"{min(step.times):.2f} to {max(step.times):.2f}"
        floor = f"{statistics.median(step.floors):.2f}" if step.floors else "-"
        away = f"{statistics.median(step.slow):.1f}" if step.slow else "-"
        counts = f"{step.exchanges} | {step.floor_exchanges}" if step.slow else "- | -"
        print(f"| {step.name} | {statistics.median(step.times):.2f} | {spread} | {floor} | "
              f"{step.floor_name or '-'} | {away} | {counts} |")  # fmt: skip
