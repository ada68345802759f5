"""How long a project takes to generate, beside cookiecutter with an empty template.

Run: python benchmarks/generation.py [--runs N]. Each round measures everything in turn, so that a
busy moment hits all of it alike; the ratio is that of one round. Prints medians and spread.
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
EMPTY = "an empty template"
MACHINE = "remote=ada@gpu.example.com:2222"


def main() -> None:
    """Measure in rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="how many rounds are measured")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        empty = make_empty_template(Path(folder) / "empty")
        commands = {
            EMPTY: [empty],
            "this template without its hooks": [str(TEMPLATE_ROOT), "--accept-hooks", "no"],
            "with hooks: answers checked, first commit": [str(TEMPLATE_ROOT)],
            "with the SSH entry, too": [str(TEMPLATE_ROOT), MACHINE],
        }
        variables = make_home(Path(folder) / "home")
        rounds: list[dict[str, float]] = []
        for number in range(-1, runs):
            output = Path(folder) / str(number)
            measured = {
                name: seconds(command, output / str(place), variables)
                for place, (name, command) in enumerate(commands.items())
            }
            if number >= 0:  # in the round before, Python compiles
                rounds.append(measured)
    print(f"{'':42} {'median':>7} {'fastest':>8} {'slowest':>8} {'ratio':>6}  (s, {runs} rounds)")
    for name in commands:
        times = [measured[name] for measured in rounds]
        ratios = [measured[name] / measured[EMPTY] for measured in rounds]
        print(
            f"{name:42} {statistics.median(times):7.2f} {min(times):8.2f} {max(times):8.2f} "
            f"{statistics.median(ratios):6.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def make_empty_template(folder: Path) -> str:
    """Make a template of one file, and return where it is."""
    project = folder / "{{cookiecutter.project_slug}}"
    project.mkdir(parents=True)
    (folder / "cookiecutter.json").write_text('{"project_slug": "empty"}\n')
    (project / "README.md").write_text("# {{ cookiecutter.project_slug }}\n")
    return str(folder)


def make_home(folder: Path) -> dict[str, str]:
    """Make a home directory with a git identity; return the variables that lead to it."""
    folder.mkdir()
    (folder / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n")
    variables = {
        "HOME": str(folder),
        "USERPROFILE": str(folder),
        "GIT_CONFIG_GLOBAL": str(folder / ".gitconfig"),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return inherited | variables


def seconds(command: list[str], output: Path, variables: dict[str, str]) -> float:
    """Return how long cookiecutter takes with these arguments, into a folder of its own."""
    words = [sys.executable, "-m", "cookiecutter", *command[:1], "--no-input", *command[1:]]
    # Each time a new SSH directory: an entry that is there already is not written.
    env = variables | {"LAB_SSH_DIR": str(output / ".ssh")}
    start = time.perf_counter()
    subprocess.run(
        [*words, "--output-dir", str(output)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=env,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
