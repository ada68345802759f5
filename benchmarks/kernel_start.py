"""How long a kernel takes to start in VS Code: a plain one, and one that outlives its window.

Run: python benchmarks/kernel_start.py [--runs N]. Prints seconds from the start of the process to
the end of the editor's start-up code, as the extension does it (tests/kernels/extension_host.py),
and in milliseconds what the hook costs other starts of Python.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(TEMPLATE_ROOT / "src")]

from kernels.driving import ExtensionHost, KernelProject  # noqa: E402
from kernels.projects import NEWEST, make_project  # noqa: E402

from ml_remote.far.login.environment.hook import update_hook  # noqa: E402

# No word of it is `ipykernel_launcher`, so the hook leaves it alone.
PLAIN = "import runpy; runpy.run_module('ipykernel_' + 'launcher', run_name='__main__')"
STARTS = 20  # of Python for each run


def main() -> None:
    """Measure everything in turn, so that a busy moment hits all of them alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how often each is measured")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        project = make_project(Path(folder) / "project", "newest", NEWEST)
        try:
            measure_kernels(project, Path(folder), runs)
        finally:
            project.end_kernels()
        measure_starts(Path(folder), runs * STARTS)


def measure_kernels(project: KernelProject, folder: Path, runs: int) -> None:
    """Print how long the three take."""
    taken: dict[str, list[float]] = {"a plain kernel": [], "a fresh one": [], "one that lives": []}
    lab = project.lab("lab")
    for number in range(runs + 1):  # the first round compiles
        for name, times in taken.items():
            if name == "a fresh one":
                project.end_kernels()
            seconds = start(project, folder, lab, is_plain=name == "a plain kernel")
            times += [seconds] if number else []
    heads = " ".join(f"{head:>8}" for head in ("median", "fastest", "slowest", "ratio"))
    print(f"{'':18} {heads}  (s, {runs} runs each)")
    plain = statistics.median(taken["a plain kernel"])
    for name, times in taken.items():
        median = statistics.median(times)
        numbers = (median, min(times), max(times), median / plain)
        print(f"{name:18} " + " ".join(f"{number:8.2f}" for number in numbers))


def start(project: KernelProject, folder: Path, lab: Path, *, is_plain: bool) -> float:
    """Open a window and close it; return how long the kernel took."""
    host = ExtensionHost(project, folder)
    command = ["-c", PLAIN] if is_plain else ["-m", "ipykernel_launcher"]
    try:
        seconds = float(host.open(lab, command=[str(project.python), *command])["seconds"])
        host.close()
    finally:
        host.kill()
    return seconds


def measure_starts(folder: Path, runs: int) -> None:
    """Print how long Python takes to start with the hook and without it."""
    pythons = {}
    for name in ("without the hook", "with the hook"):
        prefix = folder / name.replace(" ", "-")
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, prefix], check=True)
        update_hook(prefix, folder, wanted=name == "with the hook")
        pythons[name] = prefix / "bin" / "python"
    taken: dict[str, list[float]] = {name: [] for name in pythons}
    for _ in range(runs):
        for name, python in pythons.items():
            begun = time.perf_counter()
            subprocess.run([python, "-c", "pass"], check=True)
            taken[name].append((time.perf_counter() - begun) * 1000)
    print(f"\n{'python -c pass':18} {'median':>8} {'fastest':>8}  (ms, {runs} starts each)")
    for name, times in taken.items():
        print(f"{name:18} {statistics.median(times):8.2f} {min(times):8.2f}")


if __name__ == "__main__":
    main()
