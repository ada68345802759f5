"""How long the environment takes: the first by pip, by uv and by ours, a second call, one package.

Run: python benchmarks/environment.py [--ways venv uv auto]. Each way begins with empty caches, in a
new project and a new home directory, and downloads several gigabytes; `auto` is a machine that has
Python, and neither uv nor conda. Prints seconds, and how many times as long as pip it takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(TEMPLATE_ROOT / "src")]

from baking import THIS_PYTHON, BakedProject, bake_project, install_far  # noqa: E402
from programs import path_without  # noqa: E402

WAYS = {"venv": "venv and pip", "uv": "uv", "auto": "ours: uv is brought"}
PHASES = ("first", "second call", "--check", "one package more")


def main() -> None:
    """Measure each way in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    ways = parser.parse_args().ways
    taken = {}
    for way in ways:
        with tempfile.TemporaryDirectory(prefix="lab-environment-") as folder:
            taken[way] = measure(way, Path(folder))
        print(f"{WAYS[way]}: {taken[way]}", flush=True)
    print(f"| {'':20} | {' | '.join(PHASES)} | first, ratio |")
    print(f"|{'---|' * (len(PHASES) + 2)}")
    for way, times in taken.items():
        ratio = f"{times[0] / taken['venv'][0]:.2f}" if "venv" in taken else "-"
        figures = " | ".join(f"{seconds:.1f}" for seconds in times)
        print(f"| {WAYS[way]:20} | {figures} | {ratio} |")


def measure(way: str, folder: Path) -> list[float]:
    """Return the seconds of each phase."""
    home = folder / "home"
    project = bake_project(folder / "project", home=home, python_version=THIS_PYTHON)
    install_far(project)
    settings = project.path / "lab.local.toml"
    settings.write_text(f'[environment]\nmanager = "{way}"\n')
    managers = ("conda", "mamba", "micromamba") + (() if way == "uv" else ("uv", "uvx"))
    variables = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PATH": path_without(folder, *managers),
        "LAB_PROGRAM_FOLDERS": "",
    }
    times = [run(project, variables), run(project, variables), run(project, variables, "--check")]
    lists = project.path / "pyproject.toml"
    lists.write_text(lists.read_text().replace('    "tqdm', '    "rich>=13",\n    "tqdm'))
    return [*times, run(project, variables)]


def run(project: BakedProject, variables: dict[str, str], *arguments: str) -> float:
    """Run the project's script; return how long it took."""
    removed = ("UV_CACHE_DIR", "PIP_CACHE_DIR", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    start = time.perf_counter()
    subprocess.run(
        ["sh", "scripts/setup-environment.sh", *arguments],
        cwd=project.path,
        env=kept | variables,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
