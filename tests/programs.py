"""The programs of this machine, without some of them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["path_without"]


def path_without(place: Path, *programs: str) -> str:
    """Return a PATH with all programs of this machine except some; it is a folder in `place`."""
    folder = place / "programs"
    folder.mkdir(exist_ok=True)
    for directory in reversed(os.environ["PATH"].split(os.pathsep)):
        if not os.access(directory, os.R_OK | os.X_OK):  # another account's, as `su` leaves them
            continue
        for program in Path(directory).iterdir():
            if program.name not in programs and os.access(program, os.X_OK):
                (folder / program.name).unlink(missing_ok=True)
                (folder / program.name).symlink_to(program)
    return str(folder)
