"""How long `lab data push` takes beside plain rsync and scp, against an OpenSSH server on loopback.

Run: python benchmarks/data.py [--runs N] [--large GB]. Copies 6,000 small files and one of
2 GB, and prints seconds and, for each round, how many times as long as rsync it took.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from remote import ALIAS, connected
from rig import seconds

from ml_remote.ssh.client import Client

SMALL = 6000
SMALL_SIZE = 20_000  # bytes, as a small picture has
FOLDERS = 60
PIECE = 2**24


def main() -> None:
    """Measure the first copy and one with nothing left to do, round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how many rounds there are")
    parser.add_argument("--large", type=float, default=2.0, help="GB of the large file")
    given = parser.parse_args()
    runs, large = given.runs, given.large
    with connected() as (project, client, _):
        project.run(sys.executable, "-B", "lab.py", "connect", "--yes")
        project.run(sys.executable, "-B", "lab.py", "push")
        data = project.path / "data"
        make_files(data, int(large * 1e9))
        _, *options, _, _ = client.command()
        ssh = " ".join(["ssh", *options])

        def lab() -> None:
            project.run(sys.executable, "-B", "lab.py", "data", "push")

        def rsync() -> None:
            run("rsync", "-a", "-e", ssh, f"{data}/", f"{client.alias}:by-rsync/")

        def scp() -> None:
            run("scp", "-q", "-r", *options, str(data), f"{client.alias}:by-scp")

        ways = {"lab data push": lab, "rsync -a": rsync, "scp -r": scp}
        first: dict[str, list[float]] = {name: [] for name in ways}
        again: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(runs):
            clean(client)
            for name, way in ways.items():
                first[name].append(seconds(way))
            for name, way in ways.items():
                again[name].append(seconds(way))
        show(f"{SMALL:,} files of 20 kB and one of {large:g} GB", first)
        show("the same again, with nothing left to do", again)


def make_files(data: Path, large_size: int) -> None:
    """Make the files: their content cannot be compressed."""
    for folder in range(FOLDERS):
        (data / f"class-{folder}").mkdir(parents=True)
        for number in range(SMALL // FOLDERS):
            path = data / f"class-{folder}" / f"{number}.jpg"
            path.write_bytes(os.urandom(SMALL_SIZE))
    with (data / "large.bin").open("wb") as large:
        for _ in range(large_size // PIECE):
            large.write(os.urandom(PIECE))


def clean(client: Client) -> None:
    """Remove all copies from the machine."""
    client.run_script(f'cd && rm -rf by-rsync by-scp "{ALIAS}/data"', timeout=300)


def run(*command: str) -> None:
    """Run a program, which must not fail."""
    assert shutil.which(command[0]), f"{command[0]} is missing"
    subprocess.run(command, check=True)


def show(what: str, times: dict[str, list[float]]) -> None:
    """Print a table of one measurement."""
    print(f"\n{what}\n{'':16} {'median':>8} {'fastest':>8} {'ratio':>8}")
    for name, taken in times.items():
        ratios = [ours / rsync for ours, rsync in zip(taken, times["rsync -a"], strict=True)]
        median, fastest = statistics.median(taken), min(taken)
        print(f"{name:16} {median:8.2f} {fastest:8.2f} {statistics.median(ratios):8.2f}")


if __name__ == "__main__":
    main()
