"""What `lab init` has written in this clone: to continue one that was killed, and to undo it.

The record is there before anything else is written, under the name of an unfinished one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import LabError
from ..files import Change, apply_changes, exclusive, read_bytes, remove_leftovers
from ..parsing import parse_json
from ..state import make_state
from ..tables import LOCAL_FILE, PROJECT_FILE
from .repository import git_path

__all__ = [
    "EXCLUDE",
    "SCRIPT",
    "SETTINGS",
    "Written",
    "forget",
    "is_unfinished",
    "path_of",
    "read_record",
    "shown",
    "what_is_ours",
    "write",
]

SCRIPT = "lab.py"
SETTINGS = ".vscode/settings.json"
EXCLUDE = "info/exclude"
"""git's own file for this clone, by its name in git's folder."""
_FILES = (PROJECT_FILE, SCRIPT, LOCAL_FILE, ".gitignore", SETTINGS, EXCLUDE)
"""What is ever written, as the record names it."""
_RECORD = ".lab/init.json"
_UNFINISHED = ".lab/init-unfinished.json"


@dataclass(frozen=True)
class Written:
    """One file: what it was before (None: not there), and the hash of what was written."""

    before: bytes | None
    after: str

    def is_in(self, content: bytes | None) -> bool:
        """Return whether this is what was written."""
        return content is not None and _digest(content) == self.after


def is_unfinished(root: Path) -> bool:
    """Return whether an earlier `lab init` was killed while it wrote."""
    return (root / _UNFINISHED).is_file()


def read_record(root: Path) -> dict[str, Written]:
    """Return what was written, by name; empty where this clone knows of nothing.

    Raises LabError for a record that `lab init` has not written: a clone may bring one.
    """
    text = read_bytes(root / (_UNFINISHED if is_unfinished(root) else _RECORD))
    if text is None:
        return {}
    try:
        found = {
            name: Written(_bytes(values["before"]), str(values["after"]))
            for name, values in parse_json(text).items()
        }
    except (ValueError, AttributeError, KeyError, TypeError):
        found = {}
    if not found or any(name not in _FILES for name in found):
        raise LabError(
            f"{_RECORD} is not what `lab init` wrote, so nothing was changed.",
            hint="Remove the files yourself: git rm lab.toml lab.py",
        )
    return found


def what_is_ours(root: Path) -> dict[str, Written]:
    """Return `read_record`; empty where the record is not one of `lab init`."""
    try:
        return read_record(root)
    except LabError:
        return {}


def write(root: Path, changes: Sequence[Change]) -> None:
    """Write everything or nothing, and what each file was before. Raises OSError and LabError."""
    record, unfinished = root / _RECORD, root / _UNFINISHED
    make_state(record.parent)
    with exclusive(record.parent):
        _remove_leftovers(root)
        new = _with_changes(root, changes)
        begun = Change(path=unfinished, before=read_bytes(unfinished), after=new)
        ended = Change(path=record, before=read_bytes(record), after=new)
        apply_changes([begun])
        try:
            for folder in {change.path.parent for change in changes}:
                folder.mkdir(parents=True, exist_ok=True)
            apply_changes([*changes, ended, Change(path=unfinished, before=new, after=None)])
        except BaseException:
            apply_changes([Change(path=unfinished, before=new, after=begun.before)])
            raise


def forget(root: Path, changes: Sequence[Change]) -> None:
    """Make these changes, which undo what was written, and remove the record. Raises OSError."""
    with exclusive((root / _RECORD).parent):
        _remove_leftovers(root)
        records = [(path, read_bytes(path)) for path in (root / _RECORD, root / _UNFINISHED)]
        gone = [Change(path=path, before=text, after=None) for path, text in records if text]
        apply_changes([*changes, *gone])


def path_of(root: Path, name: str) -> Path:
    """Return where a file that is ever written is."""
    return git_path(root, name) if name == EXCLUDE else root / name


def shown(path: Path, root: Path) -> str:
    """Return how a file is called in what people read."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _with_changes(root: Path, changes: Sequence[Change]) -> bytes:
    """Return the record with these changes added to it."""
    known = what_is_ours(root)
    for change in changes:
        name = next(name for name in _FILES if path_of(root, name) == change.path)
        earlier = known.get(name)
        # What lab itself has written is not what was there before.
        is_own = earlier is not None and earlier.is_in(change.before)
        before = earlier.before if earlier is not None and is_own else change.before
        known[name] = Written(before, _digest(change.after or b""))
    values = {
        name: {"before": _text(one.before), "after": one.after} for name, one in known.items()
    }
    return json.dumps(values, indent=1).encode()


def _remove_leftovers(root: Path) -> None:
    """Remove the half-written files of a `lab init` that was killed."""
    for path in (path_of(root, name) for name in _FILES):
        if not path.parent.is_symlink():
            remove_leftovers(path.parent, of=path.name)


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("latin-1")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
