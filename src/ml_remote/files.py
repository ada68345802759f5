"""Changing files that must survive: one process at a time, each file whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .errors import LabError, UsageError

__all__ = [
    "Change",
    "apply_changes",
    "backups_of",
    "drop_backups",
    "exclusive",
    "is_of_another_user",
    "keep_backup",
    "make_directory",
    "read_bytes",
    "remove_leftovers",
    "try_lock",
    "typed_path",
]

LOCK = ".lock"
MARK = ".ml-remote-"
TRIAL = f".sockets{MARK}"
"""Begins the name of a directory in which sockets are tried for a moment."""
MOST_BACKUPS = 10
LONGEST_WAIT = 120.0  # seconds for other processes that change the same directory


@dataclass(frozen=True, kw_only=True)
class Change:
    """The change of one file. `None` as content means that the file does not exist.

    `path` is the file itself, not a symbolic link to it.
    """

    path: Path
    before: bytes | None
    after: bytes | None

    def diff(self, name: str) -> str:
        """Return a unified diff of the file, called `name`; empty when no line of text changes."""
        import difflib  # costs milliseconds that few calls need

        before, after = (
            [line.decode("utf-8", "replace") for line in io.BytesIO(data or b"")]
            for data in (self.before, self.after)
        )
        old = "/dev/null" if self.before is None else name
        new = "/dev/null" if self.after is None else name
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(before, after, old, new)
        )


def is_of_another_user(path: Path) -> bool:
    """Return whether a file belongs neither to whoever runs this nor to root, as ssh wants it."""
    try:
        return os.name == "posix" and path.stat().st_uid not in (0, os.getuid())
    except OSError:
        return False  # reading it says why


def read_bytes(path: Path) -> bytes | None:
    """Return what a file holds; `None` if, and only if, it does not exist. Raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def typed_path(text: str) -> Path:
    """Return the path that a person typed, with `~` and `~user` replaced. Raises UsageError."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(
            f"{text!r} names the home directory of a user who is not known on this computer.",
            hint="Write the whole path",
        ) from None


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the lock of `directory` for a block; create it, and its parent, if missing.

    The lock goes with the process that holds it. What is empty afterwards is removed again: the
    directory, and the parent if it was made here. Raises LabError when another process holds the
    lock for too long, OSError when the directory cannot be made.
    """
    descriptor, made_parent = _acquire(directory)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not remove a file that is open
            (directory / LOCK).unlink()
        os.close(descriptor)
        with suppress(OSError):
            directory.rmdir()
            if made_parent:
                directory.parent.rmdir()


def apply_changes(changes: Sequence[Change]) -> None:
    """Make all changes, in their order; on an error, take those made back and raise OSError.

    Every file is written beside the one it replaces, flushed to the disk, and renamed over it, with
    the mode, the owner and the extended attributes of the old one. A file that no longer holds its
    `before` is not replaced.
    """
    staged = []
    done: list[Change] = []
    try:
        for change in changes:
            staged.append(None if change.after is None else _stage(change))
        for change, temporary in zip(changes, staged, strict=True):
            if read_bytes(change.path) != change.before:
                raise OSError(f"{change.path} was changed by another program just now")
            done.append(change)
            _put(change.path, temporary)
    except BaseException:
        for change in reversed(done):
            _take_back(change)
        for temporary in staged:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(folder: Path, *, of: str = "") -> None:
    """Remove what a process that was killed in the middle of a change left in `folder`.

    With `of`, only what it left of the file of that name. Only for the holder of the lock: any such
    file is then nobody's.
    """
    if not folder.is_dir():
        return
    for path in folder.glob(f".{of or '*'}{MARK}*"):
        if path.name.rpartition("-")[2].isdecimal():
            path.unlink(missing_ok=True)
    for trial in () if of else folder.glob(f"{TRIAL}*"):
        with suppress(OSError):  # one that is being tried, or something else
            for path in trial.iterdir():
                path.unlink()
            trial.rmdir()


def make_directory(folder: Path) -> bool:
    """Make a directory that only its owner may enter; return whether it was missing."""
    while not folder.is_dir():
        try:
            folder.mkdir(mode=0o700)
            return True
        except FileExistsError:
            # Another process may have made it, or made it and taken it away again.
            if os.path.lexists(folder) and not folder.is_dir():
                raise
    return False


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
    apply_changes([Change(path=backup, before=None, after=data)])
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


def _acquire(directory: Path) -> tuple[int, bool]:
    """Return the descriptor of the lock, held, and whether the parent directory was made here."""
    deadline = time.monotonic() + LONGEST_WAIT
    lock = directory / LOCK
    made_parent = False
    while True:
        made_parent |= make_directory(directory.parent)
        try:
            make_directory(directory)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except FileNotFoundError:
            continue  # another process has just taken the directory away
        try:
            # The holder before may have removed the file: a lock on that one keeps nobody out.
            if try_lock(descriptor) and _is_still(lock, descriptor):
                return descriptor, made_parent
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise LabError(
                f"Another `lab` command has been changing {directory} for {LONGEST_WAIT:.0f} "
                "seconds.",
                hint="Wait for it or end it, then run the command again.",
            )
        time.sleep(0.02)


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file; return False when another process holds it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Some file systems have no locks: then two at once are not told from one.
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116
    except FileNotFoundError:
        return False


def _stage(change: Change) -> Path:
    """Write the new content beside the file it will replace, complete and on the disk."""
    assert change.after is not None
    path = change.path
    temporary = path.parent / f".{path.name}{MARK}{os.getpid()}"
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        rest = memoryview(change.after)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if change.before is not None:
            _copy_attributes(path, descriptor)
        os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return temporary


def _copy_attributes(path: Path, descriptor: int) -> None:
    """Give an open file the owner, the mode and the extended attributes of another one."""
    if sys.platform == "win32":
        return  # the new file has the permissions of its folder, as the old one
    old = path.stat()
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    if hasattr(os, "listxattr"):
        for name in _extended_attributes(path):
            with suppress(OSError):  # some only the system itself may set
                os.setxattr(descriptor, name, os.getxattr(path, name))


def _extended_attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:
        return []  # the file system has none


def _put(path: Path, temporary: Path | None) -> None:
    if temporary is None:
        path.unlink()
    else:
        os.replace(temporary, path)  # noqa: PTH105 - one name for the tests that count and fail it
    _flush_directory(path.parent)


def _take_back(change: Change) -> None:
    """Undo a change that was made; leave alone what was only about to be changed."""
    if read_bytes(change.path) != change.after:
        return
    undo = Change(path=change.path, before=change.after, after=change.before)
    _put(undo.path, None if undo.after is None else _stage(undo))


def _flush_directory(folder: Path) -> None:
    """Make a rename last through a loss of power, where the system can flush a directory."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot
    finally:
        os.close(descriptor)
