"""When the first cell has run where there was no environment: both ways that `lab up` could go.

Run: python benchmarks/first_cell.py [--runs N]. Packages come from uv's cache, so that the network
does not decide. Both ways are measured in turn, from the start of the setup:

- *first environment*: the window opens as soon as setup says that `.venv` leads to a first one; its
  cell waits for the complete one (what `lab up` does);
- *complete environment*: the window opens when setup has ended.

A window is what the Jupyter extension does with a kernel (tests/kernels/extension_host.py). What
VS Code itself takes to open is slept: --editor says how many seconds.
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
sys.path[:0] = [str(TEMPLATE_ROOT / "tests"), str(TEMPLATE_ROOT / "src")]

from baking import THIS_PYTHON, bake_project, install_far  # noqa: E402
from kernels.driving import ExtensionHost, KernelProject  # noqa: E402

WAYS = ("first environment", "complete environment")
CELL = "import torch; print(torch.ones(2).sum())"
EVENT = '{"event": "first"}'


def main() -> None:
    """Measure both ways in turn, so that a busy moment hits both alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--editor", type=float, default=8.0, help="seconds that VS Code opens for")
    options = parser.parse_args()
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(options.runs):
        for way, times in taken.items():
            with tempfile.TemporaryDirectory(prefix="lab-first-cell-") as folder:
                times.append(measure(Path(folder), editor=options.editor, waits=way == WAYS[0]))
    print(f"{options.runs} runs each; load {os.getloadavg()[0]:.1f}; median seconds")
    print("| the window opens with the | it opens | the first cell has run |\n|---|---|---|")
    for way, times in taken.items():
        opened, ran = (statistics.median(part) for part in zip(*times, strict=True))
        print(f"| {way} | {opened:.1f} | {ran:.1f} |")


def measure(folder: Path, *, editor: float, waits: bool) -> tuple[float, float]:
    """Return the seconds until the window opens, and until its first cell has run."""
    baked = bake_project(folder / "baked", home=folder / "home", python_version=THIS_PYTHON)
    install_far(baked)
    (baked.path / "lab.local.toml").write_text('[environment]\nmanager = "uv"\n')
    project = KernelProject(baked, baked.path / ".venv" / "bin" / "python")
    start = time.perf_counter()
    setup = subprocess.Popen(
        ["sh", "scripts/setup-environment.sh"],
        cwd=baked.path,
        env={**os.environ, "LAB_PROGRESS": "json"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert setup.stdout is not None
    if not (waits and any(line.strip() == EVENT for line in setup.stdout)):
        setup.communicate()
    opened = time.perf_counter() - start
    time.sleep(editor)
    host = ExtensionHost(project, folder)
    try:
        host.open(baked.path / "labs" / "mnistlab.py")
        ran = host.run(CELL)
        taken = time.perf_counter() - start
        assert ran.text.endswith("tensor(2.)\n"), ran
    finally:
        host.kill()
        if not setup.stdout.closed:
            setup.communicate()
        project.end_kernels()
    return opened, taken


if __name__ == "__main__":
    main()
