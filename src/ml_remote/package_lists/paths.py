"""Where a list of the project is, and what it must not be: a link to elsewhere, half merged.

A commit can bring a link. What it leads to would be sent to the machine as a list, or written.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ..errors import LabError
from ..far.login.environment.lists import is_half_merged
from ..tables import LOCAL_FILE

__all__ = ["check_merged", "list_path"]

_PRIVATE = (".git", ".lab", LOCAL_FILE)


def list_path(root: Path, name: str) -> Path:
    """Return the path of a list. Raises LabError for one that is not in what is shared."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise LabError(
            f"{name} is not a file in the project, so it was neither read nor written.",
            hint="Put the file into the project, then run the command again",
        )
    path, top = root / name, root.resolve()
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself
        target = Path()
    if target.is_relative_to(top) and not {*target.relative_to(top).parts[:1]} & {*_PRIVATE}:
        return target
    raise LabError(
        f"{name} is a link to {target}, outside the project. It was neither read nor written.",
        hint="Replace the link with the file itself, then run the command again",
    )


def check_merged(name: str, text: str) -> None:
    """Raise LabError for a list that git has left half merged."""
    if is_half_merged(text):
        is_lock = name.endswith(".lock")
        raise LabError(
            f"{name} is half merged: it has the marks of a conflict (<<<<<<<).",
            hint="Keep one of the two sides, then: lab lock"
            if is_lock
            else "Keep one of the two sides, then run the command again",
        )
