"""Serve a session on a Unix socket that no other user of the machine can reach.

    .venv/bin/python .lab/far/current serve jupyter --idle-hours 12

`lab jupyter` and `lab tensorboard` run this on the remote machine and forward a port of the laptop
to the socket. Socket and token are in a private directory (private.py); its path is written to the
file `session` in the folder that LAB_JOB_FOLDER names. Nothing listens on a TCP port: kernels talk
over sockets in that directory, too. Only one of each kind runs at a time for a project; the exit
code is 75 when there is one already.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import fcntl
import hashlib
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from typing import IO

from ..exit_codes import ExitCode
from ..login.files import replace_text
from .parameters import project_root
from .private import NoPrivateDirectoryError, PrivateDirectory
from .sessions import KINDS, find_kind


def main(arguments: list[str]) -> int:
    """Serve until told to stop, or until nobody has used it for the given time."""
    parser = argparse.ArgumentParser(description="Serve a session on a socket.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--idle-hours", type=float, default=0, help="0, the default: never end")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    os.chdir(project_root())
    # What cells and terminals call, such as dot and pip, is the environment's.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    lock = take_lock(options.kind)
    if lock is None:
        print(f"A {options.kind} session of this project is already running.", file=sys.stderr)
        return ExitCode.TRY_AGAIN
    try:
        directory = make_session_directory()
    except NoPrivateDirectoryError as error:
        print(error, file=sys.stderr)
        return 1
    find_kind(options.kind).serve(directory, options.idle_hours * 3600)
    return 0


def take_lock(kind: str) -> IO[str] | None:
    """Return this project's lock, open and held, or None when another session here holds it.

    Each host has its own: hosts that share the disk have their own sockets and cards. Some file
    systems have no locks. Then it is in a temporary folder, for this machine alone.
    """
    root = project_root()
    name = f"lab-{os.getuid()}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}-{kind}.lock"
    places = (
        root / ".lab" / f"{kind}-{os.uname().nodename}.lock",
        Path(tempfile.gettempdir()) / name,
    )
    for path in places:
        path.parent.mkdir(exist_ok=True)
        try:
            lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a+")
        except OSError:
            if path == places[-1]:  # it is somebody else's
                break
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        except OSError as error:
            lock.close()
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            continue
        return lock
    # Two sessions that begin in one moment are not told from one then; the list of jobs shows both.
    return (root / "lab.toml").open()


def make_session_directory() -> Path:
    """Make a private directory with a token in it, announce it, and have it removed at the end."""
    directory = PrivateDirectory()
    # Registered before anything of TensorBoard's, which writes into it once more when it ends.
    atexit.register(directory.remove)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    (directory.path / "token").write_text(secrets.token_hex(24))
    replace_text(Path(os.environ["LAB_JOB_FOLDER"]) / "session", f"{directory.path}\n")
    return directory.path
