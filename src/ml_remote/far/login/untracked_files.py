"""Files that a run's checkout needs and that are not in its commit: copied, or linked.

A program may read what git does not have: weights in a folder that git ignores, a program that was
compiled, a repository inside the project. Small files are copied, so what a run writes to them is
its alone. Larger ones are links to the project's, and so is a folder with very many files.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Iterator, List, Sequence, Set

from .moving_results import is_free
from .snapshot import LARGEST, OWN, ignored, is_private, untracked

__all__ = ["copy_untracked"]

_COMPILED = (".so", ".pyd", ".dylib")
_CACHES = ("__pycache__", ".git", ".ipynb_checkpoints", ".pytest_cache", ".ruff_cache")
_CODE = (".py", ".sh", ".ipynb")
_NEEDLESS = (".pyc", ".ipynb")  # a notebook is made from its script
_MOST_FILES = 1000  # of a folder, until it is a link as a whole
_MOST_COPIED = 50 * 2**20  # bytes


def copy_untracked(project: Path, new: Path, names: Sequence[str], folders: Sequence[str]) -> None:
    """Copy or link what git does not have into a checkout of the files `names`.

    What cannot be read is left out, and so are the `folders` of [outputs]. Raises CodeError.
    """
    _copy_compiled(project, new, names)
    apart = {os.path.normpath(folder) for folder in (*OWN, *folders)}
    found = list(ignored(project))
    # New code may be younger than the commit, which has what was there.
    found += [name for name in untracked(project) if not name.endswith(_CODE)]
    copied = 0
    for name in found:
        for one in _spread(project, os.path.normpath(name), apart):
            if not is_free(new, one):
                continue
            with suppress(OSError):  # gone, or not ours to read
                copied += _take(project / one, new / one, is_small=copied < _MOST_COPIED)


def _take(source: Path, target: Path, *, is_small: bool) -> int:
    """Copy a file, or make a link to it; return how many bytes were copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    is_file = source.is_file() and not source.is_symlink()
    size = source.stat().st_size if is_file else 0
    if is_file and is_small and size <= LARGEST:
        shutil.copy2(str(source), str(target))
        return size
    target.symlink_to(source)
    return 0


def _spread(project: Path, name: str, apart: Set[str]) -> List[str]:
    """Return the files of a folder, or the folder itself where it has very many."""
    if _is_needless(name, apart):
        return []
    if not (project / name).is_dir() or (project / name).is_symlink():
        return [name]
    found = []  # type: List[str]
    for one in _walk(project, name, apart):
        found.append(one)
        if len(found) > _MOST_FILES:
            return [name]
    return found


def _walk(project: Path, name: str, apart: Set[str]) -> Iterator[str]:
    for above, folders, names in os.walk(str(project / name)):
        inside = os.path.relpath(above, str(project))
        folders[:] = [one for one in folders if not _is_needless(os.path.join(inside, one), apart)]
        links = [one for one in folders if os.path.islink(os.path.join(above, one))]
        for one in names + links:
            path = os.path.join(inside, one)
            if not _is_needless(path, apart):
                yield path


def _is_needless(name: str, apart: Set[str]) -> bool:
    parts = name.split(os.sep)
    above = {os.sep.join(parts[:count]) for count in range(1, len(parts) + 1)}
    return parts[-1] in _CACHES or name.endswith(_NEEDLESS) or not apart.isdisjoint(above)


def _copy_compiled(project: Path, new: Path, names: Sequence[str]) -> None:
    """Copy `.env` files, and what was compiled beside the sources, however large."""
    folders = {os.path.dirname(name) for name in names if name.endswith(".py")} | {""}
    for folder in sorted(folders):
        try:
            entries = sorted(os.scandir(str(project / folder)), key=lambda entry: entry.name)
        except OSError:  # gone since that commit
            continue
        for entry in entries:
            is_wanted = entry.name.endswith(_COMPILED) or entry.name == "_version.py"
            if not (is_wanted or is_private(entry.name)) or not entry.is_file():
                continue
            target = new / folder / entry.name
            if not os.path.lexists(str(target)):
                with suppress(PermissionError):
                    shutil.copy2(entry.path, str(target))
