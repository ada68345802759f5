"""Where a list of the project is: never a link to something else of the person's.

A commit can bring a link. What it leads to would be sent to the machine as a list, or written.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ..errors import LabError
from ..tables import LOCAL_FILE

__all__ = ["list_path"]

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
