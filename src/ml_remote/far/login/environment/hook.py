"""The hook that lets VS Code's kernels outlive its window: two files in the environment.

A line in `lab_kernel.pth` is run when Python starts, and does something only where an editor starts
a kernel. No package owns the files, so no installation removes them.
"""

import os
from pathlib import Path
from typing import Iterator

from ..files import update_text

__all__ = ["update_hook"]

_PROGRAM = Path(__file__).resolve().parents[2] / "env" / "lasting" / "hook.py"
_LINE = (
    "import sys; 'ipykernel_launcher' in getattr(sys, 'orig_argv', ())"
    " and __import__('lab_kernel').replace({!r})\n"
)


def update_hook(prefix: Path, root: Path, *, wanted: bool) -> None:
    """Put the hook into an environment, or take it away; what is there already is left alone.

    Windows has none: its kernels have no sockets of their own.
    """
    program = _PROGRAM.read_text(encoding="utf-8") if wanted else ""
    files = {"lab_kernel.py": program, "lab_kernel.pth": _LINE.format(str(root)) if wanted else ""}
    for folder in _folders(prefix):
        # The line comes last, and goes first: it needs the other file.
        for name in sorted(files, reverse=wanted):
            update_text(folder / name, files[name])


def _folders(prefix: Path) -> Iterator[Path]:
    if os.name == "nt":
        return
    for folder in sorted(prefix.glob("lib/python3*/site-packages")):
        if folder.is_dir() and not folder.is_symlink():
            yield folder
