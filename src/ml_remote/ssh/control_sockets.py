"""The place of shared connections' sockets: beside our entries, or where sockets can be.

A directory that ssh finds missing, or that takes no sockets, makes every login fail. So another
place than our own directory must be there whenever the person is, and be private: ssh asks whoever
listens at such a socket.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from ..files import TRIAL

__all__ = [
    "LONGEST_CONTROL_DIRECTORY",
    "make_socket_folder",
    "own_folder",
    "remove_socket_folder",
    "socket_place",
    "takes_sockets",
]

# A socket's path holds 104 bytes on macOS (108 on Linux); ssh puts /, 40 digits, and for a moment a
# dot and 16 characters behind the directory, and a null byte ends it.
LONGEST_CONTROL_DIRECTORY = 104 - 1 - 40 - 17 - 1
_NAME = "ml-remote"


def socket_place(ours: Path) -> str | None:
    """Return the path of the sockets without the `%C` at its end, or None where there is no place.

    `ours` is our own directory; it is taken where it can be.
    """
    if _is_short(ours) and takes_sockets(ours):
        return f"{ours.as_posix()}/"
    own = own_folder()
    if _is_short(own) and _is_private(own) and takes_sockets(own):
        return f"{own.as_posix()}/"
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    # What is in it goes with the login session, so there is no directory of ours in it.
    if session and _is_short(Path(f"{session}/{_NAME}-")) and _is_private(Path(session)):
        return f"{session}/{_NAME}-" if takes_sockets(Path(session)) else None
    return None


def make_socket_folder(place: str | None) -> None:
    """Make the directory of `place`, which socket_place returned, where it is missing."""
    own = own_folder()
    if place == f"{own.as_posix()}/":
        own.parent.mkdir(parents=True, exist_ok=True)
        own.mkdir(mode=0o700, exist_ok=True)


def remove_socket_folder() -> None:
    """Remove the directory that make_socket_folder made, if it is empty."""
    with suppress(OSError):
        own_folder().rmdir()


@cache
def takes_sockets(folder: Path) -> bool:
    """Return whether the file system of a directory takes sockets, and a second name for one.

    ssh needs both. exFAT, Windows' disks below WSL and some mounts of containers refuse them. A
    directory that cannot be written says nothing, and counts as one that does.
    """
    while not folder.is_dir():
        folder = folder.parent
    try:
        trial = tempfile.TemporaryDirectory(dir=folder, prefix=TRIAL, ignore_cleanup_errors=True)
    except OSError:
        return True
    with trial as inside, socket.socket(socket.AF_UNIX) as listener:
        return _can_listen(listener, Path(inside))


def _can_listen(listener: socket.socket, folder: Path) -> bool:
    try:
        listener.bind(str(folder / "s"))
        os.link(folder / "s", folder / "t")
    except FileNotFoundError:  # another process took it for something left behind
        return True
    except OSError as error:
        return error.errno is None  # Python itself: the path is too long to try
    return True


def own_folder() -> Path:
    """Return the directory of our own for what must not get lost, outside of `~/.ssh`."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / _NAME


def _is_short(folder: Path) -> bool:
    return len(os.fsencode(folder.as_posix())) <= LONGEST_CONTROL_DIRECTORY


def _is_private(folder: Path) -> bool:
    """Return whether nobody else can put a socket into a directory, made already or not."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    mine = status.st_uid == os.getuid() and not status.st_mode & 0o077
    return stat.S_ISDIR(status.st_mode) and mine
