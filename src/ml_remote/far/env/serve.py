"""Serve a session on a Unix socket that no other user of the machine can reach.

    .venv/bin/python .lab/far/current serve jupyter --idle-hours 12

`lab jupyter` and `lab tensorboard` run this on the remote machine and forward a port of the laptop
to the socket. Socket and token lie in a new directory below /tmp that only its owner may enter; its
path is written to the file `session` in the folder that LAB_JOB_FOLDER names. Nothing listens on
a TCP port: kernels talk over sockets in that directory, too. Only one of each kind runs at a time
for a project; the exit code is 75 when there is one already.
"""

from __future__ import annotations

import argparse
import atexit
import fcntl
import os
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import IO

from ..exit_codes import ExitCode
from .parameters import project_root
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
        print(f"A {options.kind} session of this project runs already.", file=sys.stderr)
        return ExitCode.TRY_AGAIN
    find_kind(options.kind).serve(make_session_directory(lock), options.idle_hours * 3600)
    return 0


def take_lock(kind: str) -> IO[str] | None:
    """Return this project's lock, open and held, or None when another session holds it."""
    folder = project_root() / ".lab"
    folder.mkdir(exist_ok=True)
    lock = (folder / f"{kind}.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def make_session_directory(lock: IO[str]) -> Path:
    """Make the private directory with a token in it, announce it, and have it removed at the end.

    It is below /tmp because the path of a socket may only have about 100 bytes. The lock file keeps
    its path: what a session that was killed left behind is removed by the next one.
    """
    directory = Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
    # Registered before anything of TensorBoard's, which writes into it once more when it ends.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    lock.seek(0)
    remove_leftover(Path(lock.read().strip()))
    lock.truncate(0)
    lock.write(f"{directory}\n")
    lock.flush()
    # What tidies /tmp up leaves a locked directory alone (tmpfiles.d(5)).
    fcntl.flock(os.open(directory, os.O_RDONLY), fcntl.LOCK_SH)
    (directory / "token").write_text(secrets.token_hex(24))
    announcement = Path(os.environ["LAB_JOB_FOLDER"]) / "session"
    complete = announcement.with_suffix(".new")
    complete.write_text(f"{directory}\n")
    complete.replace(announcement)
    return directory


def remove_leftover(directory: Path) -> None:
    """Remove the directory of a session that was killed, if it is still there and ours."""
    try:
        ours = directory.lstat().st_uid == os.getuid()
    except FileNotFoundError:
        return
    if ours and directory.parent == Path("/tmp") and directory.name.startswith("lab-"):
        shutil.rmtree(directory, ignore_errors=True)
