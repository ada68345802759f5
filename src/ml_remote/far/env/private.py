"""Make a private directory for sockets on this computer itself.

Whoever can open a Unix socket can use it, so the directory around it decides who that is. It is
new, its name cannot be guessed, and only its owner may enter it. It is not in the project's folder:
that may be on a file system without sockets, and a socket's path has a limit of about 100 bytes.

The folder of XDG_RUNTIME_DIR comes last: it is removed when its owner logs out, and runs and
sessions continue then.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from ..login.kernels import check_base

__all__ = ["LONGEST_NAME", "NoPrivateDirectoryError", "PrivateDirectory"]

LONGEST_NAME = 64
"""Bytes that the name of a socket may have, from the directory on."""

_LONGEST_PATH = 103  # bytes of a socket's path on macOS; Linux has four more
_PREFIX = "lab-"
_MARK = ".private"  # a directory that has this file is one of these


class NoPrivateDirectoryError(OSError):
    """No folder of this computer can take a private directory with sockets."""


class PrivateDirectory:
    """A new directory that only this user may enter, until `remove` is called.

    Raises NoPrivateDirectoryError, which says why each folder was refused. A lock is held on the
    directory, so that those of programs that were killed can be told from this one; they are
    removed first.
    """

    def __init__(self) -> None:
        self.path, self._lock = _make()

    def remove(self) -> None:
        """Remove the directory with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            os.close(self._lock)


def folders() -> list[str]:
    """Return the folders that may take a private directory, the best one first."""
    return ["/tmp", "/var/tmp", os.environ.get("XDG_RUNTIME_DIR", "")]


def _make() -> tuple[Path, int]:
    refused = []
    for folder in filter(None, folders()):
        try:
            base = _checked(folder)
            _remove_leftovers(base)
            return _make_in(base)
        except OSError as error:
            refused.append(f"{folder}: {error.strerror or error}")
    raise NoPrivateDirectoryError(
        "No private directory for sockets can be made on this computer. " + "; ".join(refused)
    )


def _checked(folder: str) -> Path:
    """Return a folder without links in its path. Raises OSError when others could exchange it."""
    base = Path(folder).resolve(strict=True)
    if not Path(folder).is_absolute():
        raise OSError("its path is relative")
    if len(os.fsencode(base)) + len(f"/{_PREFIX}12345678/") + LONGEST_NAME > _LONGEST_PATH:
        raise OSError("its path is too long for sockets")
    check_base(base)
    return base


def _make_in(base: Path) -> tuple[Path, int]:
    """Make the directory, and return it with a descriptor that holds its lock."""
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                raise OSError("a new directory is not private there")
            # What tidies /tmp up leaves a locked directory alone, too (tmpfiles.d(5)).
            with suppress(OSError):  # there may be no locks
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(str(path / "probe"))
            (path / "probe").unlink()
            (path / _MARK).write_text("made by lab\n")  # last: now it counts as a leftover
        except OSError:
            os.close(descriptor)
            raise
    except OSError:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return path, descriptor


def _remove_leftovers(base: Path) -> None:
    """Remove this user's private directories whose programs were killed."""
    for path in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                ours = os.fstat(descriptor).st_uid == os.getuid()
                if ours and (path / _MARK).is_file():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
