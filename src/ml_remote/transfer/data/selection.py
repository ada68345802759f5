"""The files of `data/` that a command is about: the named paths, without ignored ones.

Both `.labignore` in the project's folder and the one in `data/` have gitignore's syntax. We alone
decide which files are meant, so it is the same for files here and there, and for any program.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["IGNORE_FILE", "PARTIAL", "Selection", "is_inside", "names_below"]

IGNORE_FILE = ".labignore"
PARTIAL = ".lab-partial"
"""The folders in `data/`, on both sides, that hold what has come in part."""


class Selection:
    """The files that a command is about. Names are relative to `data/`, with slashes."""

    def __init__(self, root: Path, paths: Sequence[str] = ()) -> None:
        self.paths = tuple(paths)
        """What was named; everything if it is empty."""
        # Patterns of the project's own file are about paths such as data/raw.
        self._ignored = [
            (prefix, _read_ignored(folder / IGNORE_FILE))
            for prefix, folder in (("data/", root), ("", root / "data"))
        ]
        self._leaves_out_folder = lru_cache(maxsize=4096)(self._is_ignored_folder)

    def enters(self, name: str) -> bool:
        """Return whether a folder is looked into."""
        return self._is_named(name, or_above=True) and not self._leaves_out_folder(name)

    def takes(self, name: str) -> bool:
        """Return whether a file is one of them."""
        above, _, _ = name.rpartition("/")
        if not self._is_named(name) or PARTIAL in name.split("/"):
            return False
        return not (above and self._leaves_out_folder(above)) and not self._matches(name)

    def _is_ignored_folder(self, name: str) -> bool:
        """Return whether a folder, or one above it, is ignored: nothing in it comes back."""
        above, _, leaf = name.rpartition("/")
        if leaf == PARTIAL or (above and self._leaves_out_folder(above)):
            return True
        return self._matches(f"{name}/")

    def _matches(self, name: str) -> bool:
        return any(spec.match_file(prefix + name) for prefix, spec in self._ignored)

    def _is_named(self, name: str, *, or_above: bool = False) -> bool:
        return not self.paths or any(
            name == path
            or name.startswith(f"{path}/")
            or (or_above and path.startswith(f"{name}/"))
            for path in self.paths
        )


def names_below(root: Path, paths: Sequence[str]) -> tuple[str, ...]:
    """Return what these paths are called below `data/` of the project in `root`.

    They are relative to the folder one is in, to the project, or to `data/`. Raises UsageError for
    one that leads out of `data/`.
    """
    if "" in paths:  # a variable of a shell that is not set
        raise UsageError("A PATH is empty.", hint="Name a file or folder in data/, or give no PATH")
    names = [_name_below(root, path) for path in paths]
    return () if "." in names else tuple(dict.fromkeys(names))


def is_inside(name: str, target: str) -> bool:
    """Return whether a link of that name leads to a place in `data/`, by a relative path."""
    if not target or target.startswith("/") or "\\" in target:
        return False
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = len([*takewhile(lambda step: step == "..", steps)])
    # Behind a name, which may be a link itself, a step up leads anywhere.
    return ".." not in steps[up:] and up <= name.count("/")


def _name_below(root: Path, path: str) -> str:
    data = root / "data"
    here = Path(os.path.normpath(Path.cwd() / path))
    candidates = [here, *(Path(os.path.normpath(base / path)) for base in (root, data))]
    if ".." in Path(path).parts or Path(path).is_absolute():
        candidates = candidates[:1]
    for candidate in candidates:
        if candidate == data or data in candidate.parents:
            return candidate.relative_to(data).as_posix()
    raise UsageError(f"{path!r} is not in data/.", hint="Name a file or folder in data/")


def _read_ignored(path: Path) -> GitIgnoreSpec:
    """Return the patterns of a file, none where there is none. Raises ConfigurationError."""
    from pathspec import GitIgnoreSpec

    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, of brackets that later versions may read
            return GitIgnoreSpec.from_lines(text.splitlines())
    except (ValueError, re.error) as error:
        raise ConfigurationError(f"{path} has a pattern that cannot be read: {error}.") from None
