"""The folder `outputs/` here: files are reached from it step by step, and never through a link.

The folder itself may be a link that the person has made, to another disk for instance. What is
below it is opened from the handle of the folder above it, where the system can do that, so that a
link that appears meanwhile leads nowhere.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import LabError
from .local_repository import git

__all__ = [
    "IMPOSSIBLE",
    "BlockedError",
    "Results",
    "folded",
    "is_file",
    "is_possible",
    "links_below",
    "make_holes",
    "tells_capitals_apart",
]

IMPOSSIBLE = "the disk here has no such names"
"""Why a file cannot be here, as the end of a sentence."""

_BY_HANDLE = {os.open, os.stat, os.mkdir, os.link, os.rename, os.unlink} <= os.supports_dir_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_LONGEST = 255  # bytes of a name
_PIECE = 2**16  # bytes that are looked at at once: the smallest hole that is made


class BlockedError(Exception):
    """A link, or something else that is no folder, is where a folder would have to be."""


class Results:
    """The folder `outputs/` of a project here. Names are relative to it, with slashes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Raise LabError when nothing may be written there."""
        path = self.path
        if path.is_symlink():
            tracked = git(path.parent, "ls-files", "--error-unmatch", "--", path.name, check=False)
            if tracked.returncode == 0:
                raise LabError(
                    f"{path.name} is a link that git tracks, so a commit could change where "
                    "results are written. Nothing was copied.",
                    hint=f"Stop tracking it: git rm --cached {path.name}",
                )
        if os.path.lexists(path) and not path.is_dir():
            what = f"leads to {path.readlink()}, which" if path.is_symlink() else "here"
            raise LabError(
                f"{path.name} {what} is not a folder.", hint="Move it away, then: lab pull"
            )
        # Programs write there, and follow links; a commit could have brought one.
        for link in links_below(path / ".incoming"):
            raise LabError(
                f"{path.name}/{link.relative_to(path).as_posix()} is a link, but incomplete files "
                "are stored there. Nothing was copied.",
                hint=f"Remove the links in {path.name}/.incoming, then: lab pull",
            )

    @contextmanager
    def at(self, name: str, *, make: bool = False) -> Iterator[tuple[str, int | None]]:
        """Yield what leads to a file: its name, and the handle of the folder above, if any.

        With `make`, folders above it are made. Raises BlockedError, OSError.
        """
        *folders, leaf = name.split("/")
        if not _BY_HANDLE:
            yield str(self._step_by_step(folders, make=make) / leaf), None
            return
        handle = os.open(self.path, _FOLDER)
        try:
            for folder in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(folder, dir_fd=handle)
                below = _open_folder(folder, handle)
                os.close(handle)
                handle = below
            yield leaf, handle
        finally:
            os.close(handle)

    def look(self, name: str) -> os.stat_result | None:
        """Return the state of a file, of a link itself; None if there is none."""
        try:
            with self.at(name) as (leaf, folder):
                return os.stat(leaf, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def sum(self, name: str) -> str:
        """Return the SHA-256 of a file; empty if it is none."""
        try:
            with self.at(name) as (leaf, folder):
                descriptor = os.open(leaf, _FILE | _NOFOLLOW, dir_fd=folder)
        except OSError:
            return ""
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        finally:
            os.close(descriptor)

    def put(self, path: Path, name: str, *, replace: bool) -> bool:
        """Move a file that has come to its place; return whether it got there.

        Without `replace`, whatever is there already stays, and so does the file.
        """
        with self.at(name, make=True) as (leaf, folder):
            try:
                came = self._move(path, leaf, folder, name=name, replace=replace)
            except OSError as error:
                if error.errno != errno.EXDEV or folder is None:
                    raise
                # Another disk is mounted there: it takes its place from beside it.
                copy = _copied(path, folder)
                try:
                    came = self._move(copy, leaf, folder, folder, name=name, replace=replace)
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(copy, dir_fd=folder)
        if came:
            path.unlink(missing_ok=True)
        return came

    def _move(
        self,
        path: Path | str,
        leaf: str,
        folder: int | None,
        above: int | None = None,
        *,
        name: str,
        replace: bool,
    ) -> bool:
        """Do what `put` does, to `leaf` in an open folder; `above` is that of `path`, if any.

        The file may have both names then.
        """
        if replace:
            os.replace(path, leaf, src_dir_fd=above, dst_dir_fd=folder)
            return True
        try:
            os.link(  # fails, unlike renaming
                path, leaf, src_dir_fd=above, dst_dir_fd=folder, follow_symlinks=False
            )
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if self.look(name) is not None:
                return False
            os.rename(path, leaf, src_dir_fd=above, dst_dir_fd=folder)
        return True

    def keep(self, name: str, suffix: str) -> str:
        """Keep a file under a second name, beside it, before it is replaced; return that name."""
        while True:
            second = self.free_name(name, suffix)
            with self.at(name) as (leaf, folder):
                other = second.rpartition("/")[2] if folder is not None else f"{self.path}/{second}"
                try:
                    os.link(
                        leaf, other, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False
                    )
                except FileExistsError:
                    continue
                except OSError:
                    os.rename(leaf, other, src_dir_fd=folder, dst_dir_fd=folder)
                return second

    def free_name(self, name: str, suffix: str) -> str:
        """Return a name beside a file that nothing has: its own with a suffix, and a number."""
        folder, slash, leaf = name.rpartition("/")
        number = 1
        while True:
            end = suffix if number == 1 else f"{suffix}-{number}"
            short = os.fsdecode(os.fsencode(leaf)[: _LONGEST - len(os.fsencode(end))])
            found = f"{folder}{slash}{short}{end}"
            if self.look(found) is None:
                return found
            number += 1

    def _step_by_step(self, folders: list[str], *, make: bool) -> Path:
        """Return the path of a folder none of whose parts is a link now."""
        path = self.path
        for folder in folders:
            path = path / folder
            if make:
                with suppress(FileExistsError):
                    path.mkdir()
            if path.is_symlink() or (os.path.lexists(path) and not path.is_dir()):
                raise BlockedError(str(path))
        return path


def tells_capitals_apart(folder: Path) -> bool:
    """Return whether two names that differ in capitals alone are two files in a folder here.

    Where nothing can be written, it counts as such.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".lab-", dir=folder) as made:
            return not os.path.lexists(folder / Path(made).name.swapcase())
    except OSError:
        return True


def is_possible(name: str, folder: Path) -> bool:
    """Return whether the disk of a folder can have a file of this name: some have UTF-8 alone."""
    for part in name.split("/"):
        if not part.isascii():
            try:
                os.lstat(folder / part)
            except OSError as error:
                if error.errno in (errno.EILSEQ, errno.EINVAL):
                    return False
    return True


def is_file(path: Path) -> bool:
    """Return whether a file is there; where the disk can have none of that name, it is not."""
    try:
        return path.is_file()
    except OSError:
        return False


def folded(name: str) -> str:
    """Return what two names have in common if a disk that ignores capitals confuses them.

    Such disks compare character by character: for them `ß` is not `ss`.
    """
    letters = unicodedata.normalize("NFC", name)
    return "".join(one.upper() if len(one.upper()) == 1 else one for one in letters)


def links_below(folder: Path) -> Iterator[Path]:
    """Yield the links at a path, or anywhere below it."""
    if folder.is_symlink():
        yield folder
        return
    for above, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if (Path(above) / name).is_symlink():
                yield Path(above) / name


def make_holes(path: Path) -> None:
    """Write a file again with holes where it has nothing but zeros; its time stays."""
    before = path.stat()
    new = path.with_name(f"{path.name}.holes")
    with path.open("rb") as source, new.open("wb") as target:
        while piece := source.read(_PIECE):
            if piece.count(0) == len(piece):
                target.seek(len(piece), os.SEEK_CUR)
            else:
                target.write(piece)
        target.truncate(before.st_size)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)


def _copied(path: Path, folder: int) -> str:
    """Copy a file into an open folder, with its time and rights; return its name there."""
    name = f".lab-{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW
    with path.open("rb") as source:
        state = os.fstat(source.fileno())
        descriptor = os.open(name, flags, stat.S_IMODE(state.st_mode), dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(source, target)
            os.utime(name, ns=(state.st_atime_ns, state.st_mtime_ns), dir_fd=folder)
        except OSError:
            os.unlink(name, dir_fd=folder)
            raise
    return name


def _open_folder(name: str, above: int) -> int:
    try:
        return os.open(name, _FOLDER | _NOFOLLOW, dir_fd=above)
    except FileNotFoundError:
        raise
    except OSError as error:  # ELOOP or ENOTDIR: a link, or no folder
        if error.errno == errno.EACCES:
            raise
        raise BlockedError(name) from error
