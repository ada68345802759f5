"""`lab run --local`: all cells of a lab on this computer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..errors import LabError
from ..far.installed import FAR, install
from ..settings import project_root
from ..ui import console
from .labs import find_lab
from .progress import show_progress

__all__ = ["run_here"]


def run_here(
    name: str, parameters: Sequence[tuple[str, str]] = (), *, verbose: bool = False
) -> None:
    """Carry out `lab run --local`; the arguments are those of the command line.

    Raises UsageError for a lab or parameter that does not exist, and LabError when there is no
    environment or not every cell ran.
    """
    lab = find_lab(name, parameters)
    far = install(project_root() / FAR)
    headless = [str(far), "headless", *lab.words]
    with (
        subprocess.Popen(
            [_interpreter(), *headless],
            cwd=project_root(),
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
        show_progress(verbose=verbose) as progress,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            progress.on_line(line.rstrip("\n"))
    if process.returncode != 0:
        progress.show_failure(process.returncode)
        raise LabError(f"{lab.path} failed{progress.where}; exit code {process.returncode}.")
    results = progress.lines[_first_result(progress.lines) :]
    for line in results:
        console.say(line)
    pages = [line.strip() for line in results if line.endswith(".html")]
    console.next_step(f"open {pages[-1]}" if pages else "look at outputs/")


def _interpreter() -> Path:
    """Return the environment's interpreter on Linux and macOS, Windows, Windows with conda."""
    root = project_root()
    environment = root / ".venv"
    places = [
        environment / "bin" / "python",
        environment / "Scripts" / "python.exe",
        environment / "python.exe",
    ]
    for path in places:
        if path.is_file() and not (root / ".lab" / "environment.incomplete").exists():
            return path
    raise LabError("There is no complete environment on this computer.", hint="lab setup --local")


def _first_result(lines: Sequence[str]) -> int:
    """Return where a run's own last words begin: how long it took, and its results."""
    starts = [index for index, line in enumerate(lines) if line.startswith("All cells of ")]
    return starts[-1] if starts else 0
