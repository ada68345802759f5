"""One setup at a time. A lock that a killed one left behind is taken over."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .failures import Failure

__all__ = ["locked"]


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold the lock, a folder, for the duration of a block. Raises Failure if another one does."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    host = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "here")
    for _ in range(10):
        try:
            lock.mkdir()
            break
        except FileExistsError:
            _refuse_if_held(lock, host)
            gone = lock.with_name("{}.{}.gone".format(lock.name, os.getpid()))
            try:
                lock.rename(gone)
            except OSError:  # another setup was faster
                continue
            shutil.rmtree(str(gone), ignore_errors=True)
    else:
        raise Failure("The environment is being set up already. Wait for it.")
    try:
        (lock / "owner").write_text("{} {}\n".format(os.getpid(), host), encoding="utf-8")
        yield
    finally:
        shutil.rmtree(str(lock), ignore_errors=True)


def _refuse_if_held(lock: Path, host: str) -> None:
    try:
        words = (lock / "owner").read_text(encoding="utf-8").split()
    except OSError:
        return
    if len(words) != 2 or not words[0].isdigit():
        return
    process, owner = words
    if owner != host:
        raise Failure(
            "The environment is being set up from {} (process {}).".format(owner, process),
            "If that is over: rm -r .lab/{}".format(lock.name),
        )
    if _is_alive(int(process)):
        raise Failure(
            "The environment is being set up already (process {}). Wait for it.".format(process)
        )


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there os.kill would end it
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
