"""Finding programs where people have them: on PATH, and where installers put them.

A command that comes by ssh, a task of VS Code and a terminal have different PATHs; all find the
same programs here. LAB_PROGRAM_FOLDERS replaces the usual folders.
"""

import os
import shutil
from pathlib import Path
from typing import List, Optional

__all__ = ["find_program", "program_folders"]

_USUAL = ("~/.local/bin", "~/bin", "~/.cargo/bin", "/usr/local/bin", "/opt/homebrew/bin")


def program_folders() -> List[str]:
    """Return the folders that are searched after those on PATH."""
    given = os.environ.get("LAB_PROGRAM_FOLDERS")
    folders = _USUAL if given is None else given.split(os.pathsep)
    return [os.path.expanduser(folder) for folder in folders if folder]


def find_program(name: str, *first: Path) -> Optional[str]:
    """Return the path of a program; the folders `first` are searched before all others."""
    parts = [str(folder) for folder in first]
    parts += os.environ.get("PATH", "").split(os.pathsep)
    parts += program_folders()
    return shutil.which(name, path=os.pathsep.join(part for part in parts if part))
