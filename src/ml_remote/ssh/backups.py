"""Keeping what a file held before it was changed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from ..files import Change, commit, make_directory

__all__ = ["backups_of", "drop_backups", "keep_backup"]

MOST_BACKUPS = 10


def keep_backup(path: Path, data: bytes, *, folder: Path) -> Path:
    """Keep `data`, the content of `path`, in `folder` (made, 0700, where missing); return where.

    The oldest and the newest ones are kept, ten in all. Content that is there already is not kept
    twice.
    """
    make_directory(folder)
    kept = backups_of(path, folder=folder)
    for old in reversed(kept):
        if old.read_bytes() == data:
            return old
    backup = folder / f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.backup"
    commit([Change(path=backup, before=None, after=data)])
    excess = max(0, len(kept) + 1 - MOST_BACKUPS)
    for old in kept[1 : 1 + excess]:
        old.unlink(missing_ok=True)
    return backup


def backups_of(path: Path, *, folder: Path) -> list[Path]:
    """Return the backups of `path` in `folder`, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if entry.stem.startswith(f"{path.name}."))


def drop_backups(contents: Collection[bytes | None], *, folder: Path) -> list[Path]:
    """Remove the backups that hold one of `contents`; return the rest. An empty folder goes."""
    if not folder.is_dir():
        return []
    kept = []
    for backup in sorted(folder.iterdir()):
        if backup.read_bytes() in contents:
            backup.unlink()
        else:
            kept.append(backup)
    if not kept:
        folder.rmdir()
    return kept
