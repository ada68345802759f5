"""What is in `data/` on this computer."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ...errors import LabError
from ..local_repository import git
from .index import LAST, Entry
from .selection import Selection

__all__ = ["check_folder", "list_local"]

_BLOCK = 512  # bytes


def check_folder(folder: Path) -> None:
    """Raise LabError when `data/` here is no folder, or a link of somebody else's choice."""
    if folder.is_symlink():
        tracked = git(folder.parent, "ls-files", "--error-unmatch", "--", folder.name, check=False)
        if tracked.returncode == 0:
            raise LabError(
                "data is a link that git tracks, so a commit could change which folder is read "
                "and written. Nothing was done.",
                hint="Stop tracking it: git rm --cached data",
            )
    if os.path.lexists(folder) and not folder.is_dir():
        what = "leads nowhere" if folder.is_symlink() else "is not a folder"
        raise LabError(f"data/ here {what}.", hint="Move it away, or point it to a folder")


def list_local(folder: Path, selection: Selection) -> Iterator[Entry]:
    """Yield what is in `data/` here, as far as it is selected. Links are not followed."""
    if not folder.is_dir():
        return
    for path in selection.paths:  # a link above it is not seen below
        parts = path.split("/")[:-1]
        for number in range(len(parts)):
            above = "/".join(parts[: number + 1])
            if (folder / above).is_symlink():
                yield Entry(name=os.fsencode(above), kind="l")
    waiting = [""]
    while waiting:
        above = waiting.pop()
        try:
            with os.scandir(folder / above) as found:
                for one in found:
                    name = f"{above}/{one.name}" if above else one.name
                    if one.is_dir(follow_symlinks=False):
                        if selection.enters(name):
                            waiting.append(name)
                            yield Entry(name=os.fsencode(name), kind="d")
                    elif selection.takes(name):
                        yield from _entries(name, one)
        except OSError as error:
            if above and error.errno in (errno.ENOENT, errno.ENOTDIR):
                continue  # it has gone meanwhile
            if error.errno not in (errno.EACCES, errno.EPERM) or not above:
                raise
            yield Entry(name=os.fsencode(above), kind="u")


def _entries(name: str, found: os.DirEntry[str]) -> Iterator[Entry]:
    """Yield what is known of a name that is no folder; nothing if it has gone meanwhile."""
    raw = os.fsencode(name)
    try:
        state = found.stat(follow_symlinks=False)
        if stat.S_ISLNK(state.st_mode):
            yield Entry(name=raw, kind="l", target=os.fsencode(os.readlink(found.path)))  # noqa: PTH115
            return
    except FileNotFoundError:
        return
    if not stat.S_ISREG(state.st_mode):
        yield Entry(name=raw, kind="s")
        return
    if not os.access(found.path, os.R_OK):
        yield Entry(name=raw, kind="u")
        return
    if abs(state.st_mtime_ns) > LAST * 10**9:
        yield Entry(name=raw, kind="t")
        return
    blocks: int = getattr(state, "st_blocks", -1)
    held = state.st_size if blocks < 0 else blocks * _BLOCK
    yield Entry(name=raw, kind="f", size=state.st_size, ns=state.st_mtime_ns, held=held)
