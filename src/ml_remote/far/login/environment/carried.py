"""Wheels that the laptop has carried to a machine without internet: only they are installed."""

import os
from pathlib import Path
from typing import Optional

__all__ = ["carried_wheels", "use_carried"]


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
