"""`make demo`: bake a project, make its environment and run all cells of its digit lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from baking import TEMPLATE_ROOT, bake_project, environment_variables, isolated_variables

DEMO = TEMPLATE_ROOT / "build" / "demo"


def main() -> int:
    """Show the template at work below build/demo/; return 0 when all cells ran."""
    started = time.monotonic()
    print(f"Generating a project in {DEMO}")
    home = DEMO / "home"
    project = bake_project(
        DEMO,
        home=home,
        overwrite=True,
        # The interpreter that runs this is on the machine for sure.
        python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
    )
    with environment_variables(isolated_variables(home)):
        print("Making its environment", flush=True)
        if not _run(project.path, "sh", "scripts/setup-environment.sh"):
            return 1
        print("Running all cells of its digit lab", flush=True)
        python = str(project.path / ".venv" / "bin" / "python")
        if not _run(project.path, python, "-m", f"{project.package}.headless", "labs/mnistlab.py"):
            return 1
    results = max(project.path.glob("outputs/mnistlab/*"), key=lambda path: path.stat().st_mtime)
    metrics = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. A network learned to read handwriting "
        f"({metrics['dataset']}): {metrics['accuracy']:.2%} of the test digits.\n"
        f"  The lab with its results:  {results / 'mnistlab.html'}\n"
        f"  The confusion matrix:      {results / 'confusion-matrix.png'}"
    )
    return 0


def _run(folder: Path, *command: str) -> bool:
    """Run a command in `folder` with its output shown, and tell whether it succeeded."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, cwd=folder, env=environment)
    if done.returncode != 0:
        print(f"The demo stops here: {' '.join(command)} failed.", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
