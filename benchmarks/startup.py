"""How long `lab --help` takes to start, beside Python itself and `import click`.

Run: python benchmarks/startup.py [--runs N]. Prints the median and the spread in milliseconds.
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


def main() -> None:
    """Measure each command in turn, so that a busy moment hits all of them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="how often each command is started")
    runs = parser.parse_args().runs
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import click'": [sys.executable, "-c", "import click"],
        "lab --help": [sys.executable, str(LAB), "--help"],
        "lab connect --help": [sys.executable, str(LAB), "connect", "--help"],
    }
    with tempfile.TemporaryDirectory() as bytecode:
        for command in commands.values():
            milliseconds(command, bytecode)  # the first run compiles
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                taken[name].append(milliseconds(command, bytecode))
    print(f"{'':26} {'median':>8} {'fastest':>8} {'slowest':>8}  (ms, {runs} runs each)")
    for name, times in taken.items():
        print(f"{name:26} {statistics.median(times):8.0f} {min(times):8.0f} {max(times):8.0f}")


def milliseconds(command: list[str], bytecode: str) -> float:
    """Return how long a command takes, its bytecode kept in the folder `bytecode`."""
    start = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPYCACHEPREFIX": bytecode},
    )
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
