"""Wheels that the laptop has carried to a machine without internet: only they are installed."""

import json
import os
from pathlib import Path
from typing import Optional

from .commands import answer
from .programs import find_program
from .pythons import find_python
from .settings import Settings

__all__ = ["carried_wheels", "describe", "use_carried"]

_TAGS = Path(__file__).resolve().parent / "probes" / "tags.py"


def carried_wheels() -> Optional[Path]:
    """Return their folder; None if packages come from an index."""
    folder = os.environ.get("LAB_WHEELS")
    return Path(os.path.realpath(folder)) if folder else None


def use_carried() -> None:
    """Have uv and pip look in that folder alone; `--no-index` says the same to uv once more."""
    folder = carried_wheels()
    if folder is not None:
        os.environ.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(folder))
        os.environ.update(UV_OFFLINE="1", UV_PYTHON_DOWNLOADS="never")


def describe(root: Path, settings: Settings) -> str:
    """Return, as JSON, which wheels the Python takes that would make the environment.

    That is `{}` where there is none.
    """
    python = find_python(settings.python)
    text = answer([python, "-B", str(_TAGS)]) if python else None
    values = json.loads(text) if text else {}
    if values:
        values["uv"] = find_program("uv", root / ".lab" / "uv" / "bin") is not None
    return json.dumps(values)
