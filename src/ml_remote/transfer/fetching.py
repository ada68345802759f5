"""Bringing `outputs/` home from the machine: what is new there, and nothing else.

What comes is kept in `outputs/.incoming` until it is complete, so an interrupted transfer goes on
where it stopped, and no file in `outputs/` is ever half there. A file of the same name that differs
is only replaced when that was asked for, or when the one there begins with all of the one here: a
log that has grown.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..files import exclusive
from ..machine import Machine
from ..ui.display import Progress
from .copying import Copying, choose_program
from .failures import explain_failure
from .outputs import RemoteFile, compare, list_outputs

__all__ = ["Fetched", "fetch_outputs"]

_INCOMING = ".incoming"


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What came of bringing outputs home. Paths are relative to `outputs/`, with slashes."""

    new: tuple[str, ...] = ()
    """Files that were brought."""
    replaced: tuple[str, ...] = ()
    """Files that were brought in the place of one that had grown there, or that differed."""
    kept: tuple[str, ...] = ()
    """Files that differ here, and stay as they are here."""
    same: int = 0
    """How many files were here already."""
    size: int = 0
    """Bytes of the files that were brought."""
    unnamed: int = 0
    """How many files stay there because there is a line break in their names."""
    links: int = 0
    """How many symbolic links stay there."""


def fetch_outputs(
    machine: Machine,
    outputs: Path,
    *,
    only: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Fetched:
    """Bring the files below the machine's `outputs/` that are not here yet to the folder `outputs`.

    `only` names a folder below it. With `overwrite`, files that differ here are replaced. Raises
    LabError in words when it could not be completed; what has come stays, and the next call goes on
    from there.
    """
    client = machine.client
    listing = list_outputs(machine, only=only)
    comparison = compare(machine, listing, outputs)
    replaced = [*comparison.grown, *(comparison.differing if overwrite else [])]
    wanted = [*comparison.missing, *replaced]
    if wanted:
        outputs.mkdir(exist_ok=True)
        with exclusive(outputs / _INCOMING):
            copying = choose_program(client, listing, wanted, outputs / _INCOMING)
            try:
                copying.run(progress)
            finally:
                left = _place(copying, wanted, outputs, replaced=replaced)
            if left:
                what = f"Bringing {len(left)} of {len(wanted)} files"
                raise explain_failure(client, copying.errors, what=what)
            shutil.rmtree(copying.folder)
    return Fetched(
        new=_names(comparison.missing),
        replaced=_names(replaced),
        kept=() if overwrite else _names(comparison.differing),
        same=comparison.same,
        size=sum(file.size for file in wanted),
        unnamed=listing.unnamed,
        links=listing.links,
    )


def _names(files: Collection[RemoteFile]) -> tuple[str, ...]:
    return tuple(file.name for file in files)


def _place(
    copying: Copying,
    files: Collection[RemoteFile],
    outputs: Path,
    *,
    replaced: Collection[RemoteFile],
) -> list[RemoteFile]:
    """Move every complete file to its place, and return those that are not complete yet."""
    left = []
    for file in files:
        if not copying.is_complete(file):
            left.append(file)
            continue
        path, target = copying.staged(file), outputs / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if file in replaced:
            path.replace(target)
        else:
            _move(path, target)
    return left


def _move(path: Path, target: Path) -> None:
    """Move a file to its place, unless something has come there meanwhile: that stays."""
    try:
        target.hardlink_to(path)  # it fails, unlike renaming, when something is there
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not os.path.lexists(target):
            path.rename(target)
    path.unlink(missing_ok=True)
