"""Finding programs where the person has them, never in the folder that one is in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["find_program", "keep_out_of_this_folder"]


def keep_out_of_this_folder() -> None:
    """Let Windows take no program from the current folder, which may be anybody's repository."""
    if os.name == "nt":
        os.environ["NODEFAULTCURRENTDIRECTORYINEXEPATH"] = "1"


def find_program(name: str) -> str | None:
    """Return where a program is, None where no absolute folder of PATH has it."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which(str(Path(folder) / name)) if Path(folder).is_absolute() else None
        if found is not None:
            return found
    return None
