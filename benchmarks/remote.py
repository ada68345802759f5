"""How long `lab` takes against an OpenSSH server on loopback, beside what it is built on.

Run: python benchmarks/remote.py [--runs N]. Prints a table; times are in seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(TEMPLATE_ROOT / "src")]

import openssh_server  # noqa: E402
from baking import BakedProject, bake_project, environment_variables, isolated_variables  # noqa: E402
from fresh_machine import fresh_machine  # noqa: E402
from openssh_server import Laptop  # noqa: E402
from rig import seconds  # noqa: E402

from ml_remote.machine import Machine  # noqa: E402
from ml_remote.ssh.client import Client  # noqa: E402
from ml_remote.transfer import copying  # noqa: E402
from ml_remote.transfer.fetching import fetch_outputs  # noqa: E402
from ml_remote.transfer.rsync import said_here  # noqa: E402

ALIAS = "handwriting-lab"
MEBIBYTE = 2**20
SIZE = 200 * MEBIBYTE


def main() -> None:
    """Measure each thing beside what it is compared to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="how often each thing is measured")
    runs = parser.parse_args().runs
    print(f"{'':44} {'median':>8} {'fastest':>8} {'slowest':>8}  (s, {runs} runs each)")
    with connected() as (project, client, folder):
        measure_up(project, runs)
        measure_round_trip(client, runs)
        measure_pull(client, folder, runs)


@contextmanager
def connected() -> Iterator[tuple[BakedProject, Client, Path]]:
    """Yield a project, its machine, and the home directory there; nothing is on the machine yet."""
    with tempfile.TemporaryDirectory(prefix="lab-") as temporary:
        laptop = openssh_server.laptop(Path(temporary))
        with (
            environment_variables({**isolated_variables(laptop.home), "SSH_AUTH_SOCK": None}),
            fresh_machine("openssh", laptop) as address,
        ):
            project = _quietly_baked(laptop, address)
            client = Client(alias=ALIAS, directory=laptop.ssh)
            try:
                yield project, client, laptop.home
            finally:
                client.close()


def _quietly_baked(laptop: Laptop, address: str) -> BakedProject:
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)  # what the hook says is no part of the table
    try:
        return bake_project(
            laptop.home / "project",
            home=laptop.home,
            remote=address,
            environment_manager="uv",
            python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
        )
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def measure_up(project: BakedProject, runs: int) -> None:
    """Time `lab up`: the first time (packages in uv's cache), and when nothing is left to do."""

    def up() -> None:
        project.run(sys.executable, "-B", "lab.py", "up", "--no-code", "--yes")

    show("lab up, the first time", [seconds(up)])
    show("lab up, with nothing left to do", [seconds(up) for _ in range(runs)])


def measure_round_trip(client: Client, runs: int) -> None:
    """Time one command on the machine, over the shared and over a new connection."""
    alone = client.with_options("ControlPath=none")
    client.run("true")
    show("a command, shared connection", [seconds(lambda: client.run("true")) for _ in range(runs)])
    show("a command, its own connection", [seconds(lambda: alone.run("true")) for _ in range(runs)])


def measure_pull(client: Client, here: Path, runs: int) -> None:
    """Time a file of 200 MiB by scp, and by `lab pull` with rsync and with sftp."""
    there = client.run_script(
        f'cd && mkdir -p "$1/outputs" && cd "$1/outputs" && pwd && '
        f"head -c {SIZE} /dev/urandom >weights.pt",
        ALIAS,
    ).stdout.strip()
    *ssh, _, _ = client.command()
    source = f"{client.alias}:{there}/weights.pt"
    target = here / "weights.pt"
    scp = ["scp", "-q", *ssh[1:], source, str(target)]

    def pull() -> None:
        fetch_outputs(Machine(client=client, folder=ALIAS), here / "outputs")

    def measured(action: Callable[[], object], file: Path) -> float:
        taken = seconds(action)
        assert file.stat().st_size == SIZE
        file.unlink()
        return taken

    show("scp of 200 MiB", [
        measured(lambda: subprocess.run(scp, check=True), target) for _ in range(runs)
    ])  # fmt: skip
    for name, has_rsync in (("rsync", True), ("sftp", False)):
        with mock.patch.object(copying, "said_here", said_here if has_rsync else str):
            times = [measured(pull, here / "outputs" / "weights.pt") for _ in range(runs)]
        show(f"lab pull of the same, by {name}", times)


def show(name: str, times: list[float]) -> None:
    """Print one line of the table."""
    row = f"{statistics.median(times):8.2f} {min(times):8.2f} {max(times):8.2f}"
    print(f"{name:44} {row}", flush=True)


if __name__ == "__main__":
    main()
