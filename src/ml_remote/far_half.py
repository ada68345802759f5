"""The far half on the machine: sent once, found again by the hash of its contents.

It goes through ssh as a script of POSIX sh that writes every file from a here-document. So it needs
nothing there but sh, and nothing of it is in the arguments of a program.
"""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath

from .far.installed import FAR, content_hash, far_files
from .machine import Machine
from .scripts import run_script
from .ssh.client import quote

__all__ = ["ensure_far", "far_folder", "writing"]


@cache
def far_folder() -> str:
    """Return where this tool's far half is, from the project's folder: `.lab/far/<hash>`."""
    return f"{FAR}/{content_hash(far_files())}"


def ensure_far(machine: Machine) -> str:
    """Install this tool's far half in the project's folder on the machine; return its folder.

    Raises MissingFolderError when the project is not on the machine, RemoteCommandError when the
    far half cannot be written, and UnreachableError.
    """
    folder = far_folder()
    if run_script(machine, "find_far", folder).stdout.strip() != "there":
        run_script(machine, "install_far", folder, writing(far_files()))
    return folder


def writing(files: dict[str, str]) -> str:
    """Return a script of sh that writes these files below the folder that is its first argument."""
    folders = sorted({str(PurePosixPath(name).parent) for name in files})
    lines = ["set -e", 'cd -- "$1"', *(f"mkdir -p {quote(folder)}" for folder in folders)]
    for name, text in files.items():
        end = _end_mark(text)
        lines.append(f"cat >{quote(name)} <<'{end}'\n{text}{end}")
    return "\n".join([*lines, ""])


def _end_mark(text: str) -> str:
    """Return a line that the text does not hold, to end its here-document."""
    if not text.endswith("\n"):
        raise ValueError("a file does not end with a line break")
    lines = set(text.splitlines())
    return next(mark for number in range(100) if (mark := f"END_{number}") not in lines)
