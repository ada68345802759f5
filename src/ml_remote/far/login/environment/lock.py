"""One setup at a time. A lock that a killed one left behind is taken over."""

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from .failures import Failure
from .processes import is_same_boot, started, this_boot

__all__ = ["locked"]

_SOON = 0.3  # seconds


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
        me = "{} {}\n".format(os.getpid(), host)
        boot = "{} {} {}\n".format(os.getpid(), started(os.getpid()), this_boot())
        (lock / "boot").write_text(boot, encoding="utf-8")
        (lock / "owner").write_text(me, encoding="utf-8")
        yield
    finally:
        shutil.rmtree(str(lock), ignore_errors=True)


def _refuse_if_held(lock: Path, host: str) -> None:
    """Raise Failure unless who made the lock has ended.

    `boot` says it for sure: a container and a laptop change their names, and a number is given
    again after a restart.
    """
    words = _words(lock / "owner")
    if not words:  # it may have been made just now
        time.sleep(_SOON)
        words = _words(lock / "owner")
    boot = _words(lock / "boot")
    if len(words) != 2:
        return
    process, owner = words
    if len(boot) > 2 and boot[0] == process:
        if is_same_boot(boot[:2], boot):
            if started(int(process)) != boot[1]:
                return
            owner = host
        elif owner == host:
            if boot[2] not in this_boot().split():  # it was restarted since
                return
            owner = "another container of {}".format(host)
    if owner != host:
        raise Failure(
            "The environment is being set up from {} (process {}).".format(owner, process),
            "If that is over: rm -r .lab/{}".format(lock.name),
        )
    if _is_alive(int(process)):
        raise Failure(
            "The environment is being set up already (process {}). Wait for it.".format(process)
        )


def _words(path: Path) -> List[str]:
    try:
        words = path.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return []
    return words if words and words[0].isdigit() else []


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
