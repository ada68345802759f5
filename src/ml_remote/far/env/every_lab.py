"""Run every lab of the project headless, each as `headless` does.

    .venv/bin/python .lab/far/current labs

For CI: a lab whose data is not in git is named, and is no failure. A script whose name begins with
_ is a module of the labs, and none of them. Exit code: 0, or 1 when a lab has failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .headless import NO_DATA
from .parameters import RunError, project_root

__all__ = ["main"]

_FAR_HALF = Path(__file__).resolve().parents[3]


def main(arguments: list[str]) -> int:
    """Run them one after the other; return the exit code."""
    if arguments:
        print("usage: .venv/bin/python .lab/far/current labs", file=sys.stderr)
        return 2
    try:
        root = project_root()
    except RunError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    failed = []
    for script in sorted((root / "labs").glob("[!_]*.py")):
        lab = f"labs/{script.name}"
        print(f"== {lab}", flush=True)
        command = [sys.executable, str(_FAR_HALF), "headless", lab]
        code = subprocess.run(command, cwd=root).returncode
        if code == NO_DATA:
            _note(lab, "Skipped: its data is not in this repository.")
        elif code:
            failed.append(lab)
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _note(lab: str, text: str) -> None:
    """Print a notice about a lab, so that GitHub shows it beside the file."""
    on_github = os.environ.get("GITHUB_ACTIONS") == "true"
    print(f"::notice file={lab}::{text}" if on_github else f"{lab}: {text}", flush=True)
