"""What a big project costs: 50,000 files in git, and 10,000 runs on the machine and in outputs/.

Run: python benchmarks/big.py [--files N] [--runs-there N] [--runs N]. Prints a row as soon as it is
measured, for a small project, for the same with the files, and for that with the runs; 0 leaves
that part out. Each command has nothing left to do, but for `lab push` with one commit. The machine
is an OpenSSH server on loopback, which has the project and no environment.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from rig import Rig, rig

Measured = dict[str, float]


def main() -> None:
    """Measure the project as it grows, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000, help="files in the repository")
    parser.add_argument("--runs-there", type=int, default=10_000, help="runs in outputs/")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    options = parser.parse_args()
    with rig(has_environment=False) as made:
        print("| project | command | median | fastest to slowest | times the small one's |")
        print("|---|---|---|---|---|", flush=True)
        small: Measured = {}
        measure("small", made, options.runs, small)
        if options.files:
            add_files(made, options.files)
            measure(f"{options.files:,} files", made, options.runs, small)
        if options.runs_there:
            add_runs(made.there, options.runs_there)
            made.lab("pull")
            measure(f"{options.runs_there:,} runs", made, options.runs, small)


def measure(project: str, made: Rig, runs: int, small: Measured) -> None:
    """Print a row for each command, once it has been run before.

    The first project that is measured is the small one.
    """

    def push() -> float:
        made.commit()
        return made.lab("push")

    commands: dict[str, Callable[[], float]] = {
        # Without an environment doctor finds one thing to do.
        name: lambda name=name: made.lab(name, check=name != "doctor")  # type: ignore[misc]
        for name in ("status", "runs", "doctor", "push", "pull")
    }
    commands["push, one commit"] = push
    for name, command in commands.items():
        _, *taken = [command() for _ in range(runs + 1)]
        median = statistics.median(taken)
        ratio = median / small.setdefault(name, median)
        print(
            f"| {project} | `lab {name}` | {median:.2f} | {min(taken):.2f} to {max(taken):.2f} "
            f"| {ratio:.1f} |",
            flush=True,
        )


def add_files(made: Rig, number: int) -> None:
    """Commit many small files, and send them."""
    for one in range(number):
        path = made.project.path / f"src/many/{one // 500:03}/{one:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{one}\n")
    made.commit()
    made.lab("push")


def add_runs(there: Path, number: int) -> None:
    """Put runs on the machine that are over, as `lab run` leaves them, with four results each."""
    first = datetime(2026, 1, 1)
    for one in range(number):
        began = first + timedelta(minutes=7 * one)
        own, start = began.strftime("%Y-%m-%d_%H-%M-%S"), int(began.timestamp())
        about = {
            "format": 2, "kind": "run", "title": f"labs/empty.py -p seed {one}",
            "lab": "labs/empty.py", "parameters": [["seed", str(one)]], "launcher": "ssh",
            "far": ".lab/far/0123456789abcdef",
        }  # fmt: skip
        job = there / ".lab/jobs" / own
        job.mkdir(parents=True)
        texts = {
            "about.json": json.dumps(about), "started": f"{start}", "exit": f"0 {start + 60}",
            "pid": f"1 gone {start}", "command": ":", "log": "", "runner": ":",
        }  # fmt: skip
        for name, text in texts.items():
            (job / name).write_text(f"{text}\n")
        results = there / "outputs/empty" / own
        results.mkdir(parents=True)
        for name in ("run.json", "metrics.json", "empty.html", "empty.ipynb"):
            (results / name).write_text("{}\n")


if __name__ == "__main__":
    main()
