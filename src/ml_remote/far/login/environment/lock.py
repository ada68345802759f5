"""One setup at a time: a second one waits, and takes over what a killed one left behind.

Who holds the lock, a folder, touches its file `sign` every few seconds. Of a process on this
machine `boot` says if it still runs; one elsewhere (a shared disk, another container) counts as
ended when no sign has come while somebody waited for it. `scripts/setup-environment.sh` alone has
the same rule, but waits for one elsewhere to the end of its patience.
"""

import os
import shutil
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional

from ...installed import ignore
from ..files import changed_at, read_text
from .failures import Failure
from .output import say
from .processes import exists, is_same_boot, started, this_boot

__all__ = ["locked"]

_SOON = 0.3  # seconds
_BETWEEN_LOOKS = 0.5
_BETWEEN_SIGNS = 10.0
_WITHOUT_SIGN = 120.0
_PATIENCE = 3600.0


class _Holder(NamedTuple):
    """Who holds a lock, and may still be at work."""

    process: str
    host: str
    """Where it is, if not here; else nothing."""
    since: float
    """Seconds since 1970."""

    def __str__(self) -> str:
        place = " on {}".format(self.host) if self.host else ""
        at = time.strftime("%H:%M", time.localtime(self.since))
        return "process {}{}, since {}".format(self.process, place, at)


@contextmanager
def locked(lock: Path, *, patience: Optional[float] = None) -> Iterator[None]:
    """Hold the lock during the block; wait for another setup that holds it.

    `patience`, in seconds, bounds that: as LAB_WAIT_SECONDS says, else an hour. Raises Failure
    after it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    ignore(lock.parent)
    given = os.environ.get("LAB_WAIT_SECONDS", "")
    usual = float(given) if given.isdigit() else _PATIENCE
    _take(lock, usual if patience is None else patience)
    me = "{} {}\n".format(os.getpid(), _host())
    ended = threading.Event()
    try:
        boot = "{} {} {}\n".format(os.getpid(), started(os.getpid()), this_boot())
        (lock / "boot").write_text(boot, encoding="utf-8")
        (lock / "sign").touch()
        (lock / "owner").write_text(me, encoding="utf-8")
        threading.Thread(target=_give_signs, args=(lock / "sign", ended), daemon=True).start()
        yield
    finally:
        ended.set()
        if _words(lock / "owner") in ([], me.split()):  # it may have been taken over
            shutil.rmtree(str(lock), ignore_errors=True)


def _take(lock: Path, patience: float) -> None:
    """Make the folder; wait while somebody else has it."""
    began = time.monotonic()
    told = shown = ""
    sign, seen = -1.0, began
    while True:
        try:
            lock.mkdir()
            return
        except FileExistsError:
            holder = _holder(lock)
        now = time.monotonic()
        latest = changed_at(lock / "sign")
        if latest is None or latest != sign:  # an earlier version gives no signs
            sign, seen = latest or -1.0, now
        if holder is None or (holder.host and now - seen > _WITHOUT_SIGN):
            _remove(lock)
            continue
        if now - began > patience:
            raise Failure(
                "Another setup is already running ({}).".format(holder),
                "Wait for it, or end it. If it is no longer running: rm -r .lab/{}".format(
                    lock.name
                ),
            )
        if holder.process != told:
            told = holder.process
            say("Waiting for the setup that is already running ({}) ...".format(holder))
        step = read_text(lock / "step").strip()
        if step not in ("", shown):
            shown = step
            say("Its progress: {}".format(step))
        time.sleep(_BETWEEN_LOOKS)


def _remove(lock: Path) -> None:
    """Remove a lock that somebody left behind, whole; another setup may be faster."""
    gone = lock.with_name("{}.{}.gone".format(lock.name, os.getpid()))
    with suppress(OSError):
        lock.rename(gone)
        shutil.rmtree(str(gone), ignore_errors=True)


def _give_signs(sign: Path, ended: threading.Event) -> None:
    while not ended.wait(_BETWEEN_SIGNS):
        with suppress(OSError):
            os.utime(str(sign), None)


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "here")


def _holder(lock: Path) -> Optional[_Holder]:
    """Return who holds the lock; None if that has ended.

    `boot` says it for sure: a container and a laptop change their names, and a number is given
    again after a restart.
    """
    words = _words(lock / "owner")
    if not words:  # it may have been made just now
        time.sleep(_SOON)
        words = _words(lock / "owner")
    boot = _words(lock / "boot")
    if len(words) != 2:
        return None
    process, owner = words
    here = _host()
    since = changed_at(lock / "owner") or time.time()
    if len(boot) > 2 and boot[0] == process:
        if is_same_boot(boot[:2], boot):
            return _Holder(process, "", since) if started(int(process)) == boot[1] else None
        if owner == here:
            if boot[2] not in this_boot().split():  # it was restarted since
                return None
            owner = "another container on {}".format(here)
    if owner != here:
        return _Holder(process, owner, since)
    return _Holder(process, "", since) if exists(int(process)) else None


def _words(path: Path) -> List[str]:
    words = read_text(path).split()
    return words if words and words[0].isdigit() else []
