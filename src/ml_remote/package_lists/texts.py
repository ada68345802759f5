"""Both lists and the lock as texts: read together, locked, and written all or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import LabError
from ..files import Change, apply_changes, read_bytes
from ..ui.console import Console
from . import pyproject
from .lock import LOCK, is_behind, lock_text
from .paths import check_merged, list_path
from .sources import source_of

__all__ = ["LISTS", "Texts", "commit_line", "ensure_lock", "locked", "read_texts", "write_texts"]

LISTS = ("pyproject.toml", "environment.yml")
"""The list for uv and pip, and the one for conda."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The lists as text; those of files that do not exist are empty."""

    pyproject: str
    environment: str
    lock: str

    @property
    def wanted(self) -> list[str]:
        """What the environment is made from."""
        return pyproject.requirements(self.pyproject)


def ensure_lock(root: Path, console: Console) -> None:
    """Make the lock of a project that has none, or whose lists have got more.

    Where that cannot be done it is said, and the environment is made without.
    """
    if source_of(root) or not (root / LISTS[0]).is_file():
        return
    try:
        before = read_texts(root)
        if not before.wanted or (before.lock and not is_behind(before.lock, before.wanted)):
            return
        lock = locked(root, before.pyproject, before.lock, console)
        write_texts(root, before, replace(before, lock=lock))
    except LabError as error:
        console.warn(
            f"The versions of this environment are not locked. {error.message.rstrip('.')}. To "
            "lock them: lab lock"
        )
        return
    console.say(
        f"Wrote {LOCK}, so that everyone gets the same versions. To keep it: "
        f"{commit_line('Lock packages', [LOCK])}"
    )


def read_texts(root: Path) -> Texts:
    """Return the lists. Raises LabError when there is no pyproject.toml."""
    found = [read_bytes(list_path(root, name)) for name in (*LISTS, LOCK)]
    if found[0] is None:
        raise LabError(
            f"{root} has no pyproject.toml, which lists the packages.",
            hint="Go to the folder of a project that has one",
        )
    try:
        texts = ["" if data is None else data.decode("utf-8") for data in found]
    except UnicodeDecodeError:
        raise LabError(
            "pyproject.toml, environment.yml or requirements.lock is not UTF-8.",
            hint="Save the file as UTF-8, then run the command again",
        ) from None
    for name, text in zip((*LISTS, LOCK), texts, strict=True):
        check_merged(name, text)
    return Texts(pyproject=texts[0], environment=texts[1], lock=texts[2])


def locked(root: Path, text: str, before: str, console: Console, *, upgrade: bool = False) -> str:
    """Return the lock for the list `text`, with the versions of `before` kept unless `upgrade`.

    Raises LabError as `lock_text` does.
    """
    return lock_text(
        root,
        pyproject.requirements(text),
        python=pyproject.oldest_python(text),
        before=before,
        upgrade=upgrade,
        console=console,
    )


def write_texts(root: Path, before: Texts, after: Texts) -> None:
    """Write what has changed: all of it, or nothing. Raises LabError."""
    pairs = zip((*LISTS, LOCK), vars(before).values(), vars(after).values(), strict=True)
    changes = [
        Change(
            path=list_path(root, name),
            before=old.encode() if (root / name).is_file() else None,
            after=_as_before(new, old).encode(),
        )
        for name, old, new in pairs
        if new != old
    ]
    try:
        apply_changes(changes)
    except OSError as error:
        raise LabError(
            f"The lists were not changed: {error}",
            hint="Fix that, then run the command again",
        ) from None


def _as_before(new: str, old: str) -> str:
    """Return the text with the line breaks of Windows where the file had them."""
    return new.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in old else new


def commit_line(message: str, names: Sequence[str]) -> str:
    """Return what keeps these of the lists and the lock in git, for any shell."""
    files = " ".join(names)
    return f'git add {files}; git commit -m "{message}" {files}'
