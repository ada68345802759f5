"""Measuring in a child process, in the environment of a generated project."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TEMPLATE_ROOT = Path(__file__).resolve().parents[1]
DOCS = TEMPLATE_ROOT / "docs"
sys.path.insert(0, str(TEMPLATE_ROOT / "tests"))

from environment import LabEnvironment, lab_environment  # noqa: E402

__all__ = ["DOCS", "measure", "measure_all", "project_python"]

RECIPES = Path(__file__).with_name("recipes.py")


@functools.cache
def _environment() -> LabEnvironment:
    return lab_environment()


def project_python() -> Path:
    """Return the interpreter of a generated project."""
    return _environment().python


def measure(*words: str, processes: int = 0, threads: int = 0) -> dict[str, Any]:
    """Run recipes.py with `words` in a process of its own and return its last measurement."""
    return measure_all(*words, processes=processes, threads=threads)[-1]


def measure_all(*words: str, processes: int = 0, threads: int = 0) -> list[dict[str, Any]]:
    """Run recipes.py with `words` in a process of its own and return what it has measured.

    With `processes`, torchrun starts so many; with `threads`, each computes with so many threads.
    """
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [project_python(), *(torchrun if processes else []), RECIPES, *words],
        cwd=_environment().project.path,
        # Waiting in a loop for long, the default of torch's threads, would measure how busy the
        # machine is.
        env={
            **os.environ,
            "GOMP_SPINCOUNT": "10000",
            **({"OMP_NUM_THREADS": str(threads)} if threads else {}),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
