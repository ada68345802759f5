"""The laptop's uv, which started this tool, and what it says when it fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigurationError, LabError
from ..processes import Result, run

__all__ = ["index_of_uv", "reason", "uv_program", "work_out"]

_MOST_LETTERS = 600
_SECONDS, _WORKING_OUT = 20, 300
_CAUSE = re.compile(r"(?:cause|Caused by): ")
_GLYPHS = re.compile(r"^[\s\u00d7\u2570\u2500\u25b6\u251c\u2502\u2192]+")


def uv_program() -> str:
    """Return the path of uv. Raises ConfigurationError when there is none."""
    given = os.environ.get("UV", "")  # `uv run` says where it is
    found = given if given and Path(given).is_file() else shutil.which("uv")
    if not found:
        raise ConfigurationError(
            "uv is not installed on this computer. lab needs it to resolve versions.",
            hint="Install uv (https://docs.astral.sh/uv), then run the command again",
        )
    return found


def index_of_uv(folder: Path) -> str:
    """Return the package index that uv uses in a folder; "" if it is not known, or is private.

    A machine whose Python has no pip, and for which none is configured, fetches uv from it.
    """
    command = ["pip", "compile", "--quiet", "--no-header", "--emit-index-url", "-"]
    try:
        done = run([uv_program(), *command], folder=folder, timeout=_SECONDS)
    except (LabError, subprocess.TimeoutExpired):
        return ""
    found = re.search(
        r"^--index-url (https://[\w.-]+(?::\d+)?/[\w./~-]*)$", done.stdout, re.MULTILINE
    )
    return found[1] if found else ""


def work_out(words: Sequence[str], *, root: Path, what: str) -> Result:
    """Run uv in the project's folder, whose settings for uv count, to work out `what`.

    Raises LabError when that takes too long.
    """
    try:
        return run([uv_program(), *words], folder=root, timeout=_WORKING_OUT)
    except subprocess.TimeoutExpired:
        raise LabError(
            f"uv did not work out within {_WORKING_OUT // 60} minutes {what}.",
            hint="Check that the package index can be reached, then run the command again",
        ) from None


def reason(text: str) -> str:
    """Return what uv printed as one paragraph, without its drawing, and not too long.

    Of a chain of causes the first two links are kept, what failed and where, and the last: why.
    """
    lines = [_GLYPHS.sub("", line).strip().removeprefix("error: ") for line in text.splitlines()]
    causes = [number for number, line in enumerate(lines) if _CAUSE.match(line)]
    said = ""
    for number, line in enumerate(lines):
        if line and number not in causes:
            said += f" {line}"
        elif line and number not in causes[1:-1]:
            said = f"{said.rstrip(':')}: {_CAUSE.sub('', line)}"
    said = said.strip()
    return said if len(said) <= _MOST_LETTERS else f"{said[:_MOST_LETTERS]} ..."
