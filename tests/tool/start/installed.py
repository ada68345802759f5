"""An installed `lab` that is typed in a project which pins another version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = [
    "COMMIT",
    "SETTINGS",
    "START",
    "URL",
    "Start",
    "handed_over",
    "script",
]


START = [sys.executable, "-B", "-c", "from ml_remote.start import main; raise SystemExit(main())"]
URL = "https://git.example.com/team/tool"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SETTINGS = 'format = 2\n[remote]\nalias = "gpu"\nfolder = "digits"\n'
Start = Callable[..., "subprocess.CompletedProcess[str]"]


def script(requirement: str = f"ml-remote @ git+{URL}@{COMMIT}") -> str:
    return (
        '# /// script\n# requires-python = ">=3.11"\n'
        f'# dependencies = ["{requirement}"]\n# ///\nprint("lab.py ran")\n'
    )


def handed_over(project: Path, *words: str) -> str:
    return " ".join(["uv run --quiet --script", f"{project}/lab.py", *words]) + "\n"
