"""`.lab`, where the tool keeps what it remembers about a project on this computer.

git knows nothing of it. A clone can bring one all the same, with links in it: what is written there
would go where they lead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import ConfigurationError

__all__ = ["NAME", "check_links", "make_state"]

NAME = ".lab"
_NOT_LOOKED_INTO = ("cache", "envs", "uv")
"""Folders of programs that make links themselves, and in which `lab` writes nothing."""
_OWN_LINK = "current"  # of .lab/far


def make_state(state: Path) -> Path:
    """Make the folder where it is missing, ignored by git from then on; return it."""
    from .far.installed import ignore

    state.mkdir(parents=True, exist_ok=True)
    ignore(state)
    return state


def check_links(root: Path) -> None:
    """Raise ConfigurationError where `.lab`, or something that `lab` writes in it, is a link."""
    state = root / NAME
    if state.exists() and not state.is_dir():
        raise ConfigurationError(
            f"{state} is a file, but lab needs a folder with that name.",
            hint="Rename it, then run the command again",
        )
    for path in _links(state):
        raise ConfigurationError(
            f"{path} is a link, perhaps from the repository. lab does not follow links there, so "
            "it did nothing.",
            hint="Remove that link, then run the command again. For environments on another disk: "
            "folder in [environment], in lab.local.toml",
        )


def _links(state: Path) -> Iterator[Path]:
    if state.is_symlink():
        yield state
        return
    with suppress(OSError):  # it is missing, or is told of by what writes into it
        for entry in os.scandir(state):
            if entry.is_symlink():
                yield Path(entry.path)
            elif entry.name not in _NOT_LOOKED_INTO and entry.is_dir():
                with suppress(OSError):
                    yield from (
                        Path(inner.path)
                        for inner in os.scandir(entry.path)
                        if inner.is_symlink() and not inner.name.startswith(_OWN_LINK)
                    )
