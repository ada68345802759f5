"""Finding programs where the person has them, never in the current folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = [
    "find_program",
    "keep_out_of_this_folder",
    "keep_packages_apart",
    "name_files_in_utf8",
    "open_standard_streams",
]


def open_standard_streams() -> None:
    """Open on the null device what this program was started without (`>&-`).

    Else the first file that is opened takes that place, and receives what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def keep_out_of_this_folder() -> None:
    """Keep Windows from running programs of the current folder, which may be any repository."""
    if os.name == "nt":
        os.environ["NODEFAULTCURRENTDIRECTORYINEXEPATH"] = "1"


def name_files_in_utf8() -> None:
    """Start this program again where a variable keeps Python from names in UTF-8 (PYTHONUTF8=0)."""
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep_packages_apart() -> None:
    """Move the packages of PYTHONPATH to the end: a click among them is not lab's own."""
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    folders = {str(Path(folder).absolute()) for folder in named}
    sys.path.sort(key=lambda folder: folder in folders)  # all others keep their order


def find_program(name: str) -> str | None:
    """Return where a program is, None where no absolute folder of PATH has it."""
    import shutil  # what starts here may need no program

    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which(str(Path(folder) / name)) if Path(folder).is_absolute() else None
        if found is not None:
            return found
    return None
