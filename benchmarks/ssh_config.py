"""How long `lab connect --offline` takes on configurations with 10, 100 and 1,000 hosts.

Run: python benchmarks/ssh_config.py [--runs N]. Prints the median and the spread in milliseconds:
of the first time, when the entry is written, and of the second, when everything is there already.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
LAB = TEMPLATE_ROOT / "{{cookiecutter.project_slug}}" / "lab.py"
HOST = "Host host{0}\n    HostName host{0}.example.com\n    User user{0}\n    Port 2200\n\n"
CONNECT = ["connect", "ada@gpu.example.com", "--alias", "gpu", "--offline", "--yes"]


def main() -> None:
    """Measure each size in turn, so that a busy moment hits all of them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how often each one is measured")
    runs = parser.parse_args().runs
    sizes = (10, 100, 1000)
    taken: dict[tuple[int, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as bytecode:
        measure(1, bytecode)  # the first run compiles
        for _ in range(runs):
            for size in sizes:
                for what, milliseconds in measure(size, bytecode).items():
                    taken.setdefault((size, what), []).append(milliseconds)
    print(f"{'hosts':>6}  {'':13} {'median':>8} {'fastest':>8} {'slowest':>8}  (ms, {runs} runs)")
    for (size, what), times in taken.items():
        median = statistics.median(times)
        print(f"{size:6}  {what:13} {median:8.0f} {min(times):8.0f} {max(times):8.0f}")


def measure(hosts: int, bytecode: str) -> dict[str, float]:
    """Return how long it takes on a new configuration with so many hosts, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "ssh"
        directory.mkdir(mode=0o700)
        text = "".join(HOST.format(number) for number in range(hosts))
        (directory / "config").write_text(f"{text}Host *\n    ServerAliveInterval 60\n")
        (directory / "config").chmod(0o600)
        variables = {"LAB_SSH_DIR": str(directory), "PYTHONPYCACHEPREFIX": bytecode}
        return {what: milliseconds(variables) for what in ("written", "already there")}


def milliseconds(variables: dict[str, str]) -> float:
    """Return how long one `lab connect --offline` takes with these environment variables."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, str(LAB), *CONNECT],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **variables},
    )
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
