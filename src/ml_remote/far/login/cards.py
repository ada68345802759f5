"""Assigning the cards of one machine, also to several people: take free ones, or wait for some.

    .venv/bin/python .lab/far/current cards 2 -- python train.py

runs a program with two cards in CUDA_VISIBLE_DEVICES, once two are free: nvidia-smi knows of no
process on them, and nobody holds their locks. First come, first served: who waits holds a ticket.
There is no daemon, and nothing is left to clean up: locks and tickets end with their processes (see
card_locks.py). `cards count N` tells if there are so many, `cards show` who holds and who waits.
"""

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from ..exit_codes import ExitCode
from .card_locks import CardError, CardFolder, Ticket
from .files import replace_text
from .nvidia_smi import DriverError, busy, cards

__all__ = ["CardError", "held", "main"]

_NAP = 1.0  # seconds between two looks at the line
_LONG_NAP = 5.0  # seconds between two questions to nvidia-smi
_FAILURES = 10  # of nvidia-smi in a row, until one who waits gives up
_TOUCH = 600.0  # seconds; what cleans /tmp takes files that nobody has touched for days
_SIGNALLED = 128
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def check_count(count: int) -> List[str]:
    """Return the cards that can be taken. Raises CardError when there are fewer than `count`."""
    known = cards()
    if count > len(known):
        there = "1 card" if len(known) == 1 else "{} cards".format(len(known))
        raise CardError("This machine has {}, but the run needs {}.".format(there, count))
    return known


@contextmanager
def held(
    count: int, told: Optional[Callable[[int, int], None]] = None, run: str = ""
) -> Iterator[List[str]]:
    """Hold this many cards while the context lasts, waiting in line; yield their UUIDs.

    `told` is called with the place in line, and how many wait, when it changes. Raises CardError
    when there are not so many.
    """
    with _held(count, told, run) as hold:
        over = threading.Event()
        touching = threading.Thread(target=_touch, args=(over, hold), daemon=True)
        touching.start()
        try:
            yield list(hold.locks)
        finally:
            over.set()


class _Hold:
    """Cards that are held: their locks, and the ticket that says by whom."""

    def __init__(self, locks: Dict[str, int], ticket: Optional[Ticket] = None) -> None:
        self.locks = locks
        self._ticket = ticket

    def touch(self) -> None:
        """Keep the files from being cleaned away."""
        if self._ticket is not None:
            self._ticket.touch()
        for handle in self.locks.values():
            # The owner's time cannot be set by others; reading sets that of the last access.
            try:
                os.utime(handle)
            except OSError:
                with suppress(OSError):
                    os.pread(handle, 1, 0)


@contextmanager
def _held(count: int, told: Optional[Callable[[int, int], None]], run: str) -> Iterator[_Hold]:
    if count == 0:
        yield _Hold({})
        return
    known = check_count(count)
    folder = CardFolder()
    ticket = folder.ticket(known, count, run)
    locks = {}  # type: Dict[str, int]
    try:
        locks = _wait(folder, ticket, known, count, told)
        ticket.note(list(locks))
        yield _Hold(locks, ticket)
    finally:
        for handle in locks.values():
            os.close(handle)
        ticket.close()
        folder.close()


def main(arguments: List[str]) -> int:
    """Run `cards N -- COMMAND`, `cards count N` or `cards show`; return the exit code."""
    try:
        if arguments == ["show"]:
            for line in CardFolder().lines():
                print("\t".join(line))
            return 0
        if arguments[:1] == ["count"]:
            check_count(int(arguments[1]))
            return 0
        return _run(int(arguments[0]), arguments[2:])
    except CardError as error:
        print("Error: {}".format(error), flush=True)
        return ExitCode.NO_CARDS


def _run(count: int, command: List[str]) -> int:
    """Run a command with cards of its own; return its exit code, 128 + N for a signal."""
    if shutil.which(command[0]) is None:
        print("{}: no such program on this machine.".format(command[0]), file=sys.stderr)
        return 127
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(_SIGNALLED + got))
    # A set of a sweep has no job of its own: its worker's is the sweep's.
    job = None if "LAB_SET" in os.environ else os.environ.get("LAB_JOB_FOLDER")
    told = _Notes(Path(job) if job else None, count)
    with _held(count, told.waits, os.environ.get("LAB_JOB", "")) as hold:
        told.begins(list(hold.locks))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # The command gets the signals itself; this process stays to hold the locks.
            signal.signal(number, lambda *_: None)
        variables = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(hold.locks)}
        process = _start(command, variables, list(hold.locks.values()))
        while True:
            try:
                code = process.wait(timeout=_TOUCH)
                break
            except subprocess.TimeoutExpired:
                hold.touch()
    return _SIGNALLED - code if code < 0 else code


def _start(
    command: List[str], variables: Mapping[str, str], handles: List[int]
) -> "subprocess.Popen[bytes]":
    """Start a command that holds the locks as well, and ends with this process."""
    try:
        return subprocess.Popen(
            command, env=variables, pass_fds=handles, preexec_fn=_end_with_parent
        )
    except OSError as error:
        script = shutil.which(command[0])
        if error.errno != errno.ENOEXEC or script is None:
            raise
        return _start(["/bin/sh", script] + command[1:], variables, handles)


def _end_with_parent() -> None:
    """Make the kernel end this process with its parent, even if that is killed."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


class _Notes:
    """Reports in the log and in the job's folder that a run waits for cards, or has them."""

    def __init__(self, job: Optional[Path], count: int) -> None:
        self._job = job
        self._what = "a card" if count == 1 else "{} cards".format(count)

    def waits(self, place: int, of: int) -> None:
        """Print which place in line it has."""
        print("Waiting for {}: number {} of {} in line.".format(self._what, place, of), flush=True)
        self._write("line", "{} {}\n".format(place, of))

    def begins(self, uuids: List[str]) -> None:
        """Report which cards it has; the time it waited does not count as its own."""
        print("Cards: {}.".format(", ".join(uuids) or "none"), flush=True)
        if self._job is not None and (self._job / "line").exists():
            self._write("began", "{}\n".format(int(time.time())))
            with suppress(OSError):
                (self._job / "line").unlink()

    def _write(self, name: str, text: str) -> None:
        if self._job is None:
            return
        with suppress(OSError):  # a full disk, which the run will tell of
            replace_text(self._job / name, text)


def _wait(
    folder: CardFolder,
    ticket: Ticket,
    known: List[str],
    count: int,
    told: Optional[Callable[[int, int], None]],
) -> Dict[str, int]:
    """Return the locks of `count` cards once this ticket is the first, and so many are free."""
    place, touched, failures = (0, 0), time.monotonic(), 0
    while True:
        now, nap = folder.place(ticket), _NAP
        if now[0] == 1:
            try:
                locks, is_busy = _take(folder, known, count)
                failures = 0
            except DriverError:
                failures += 1
                if failures == _FAILURES:
                    raise
                locks, is_busy = {}, True
            if locks:
                return locks
            nap = _LONG_NAP if is_busy else _NAP
        if now != place and told is not None:
            told(*now)
        place = now
        if time.monotonic() > touched + _TOUCH:
            ticket.touch()
            touched = time.monotonic()
        time.sleep(nap)


def _take(folder: CardFolder, known: List[str], count: int) -> Tuple[Dict[str, int], bool]:
    """Return the locks of `count` free cards, or of none, and whether processes are on the others.

    The locks come first: whoever has one is the only one who looks whether its card is free.
    """
    locks = {}  # type: Dict[str, int]
    free = []  # type: List[str]
    is_busy = False
    try:
        for uuid in known:
            handle = folder.lock(uuid)
            if handle is not None:
                locks[uuid] = handle
        if len(locks) >= count:
            taken = busy()
            free = [uuid for uuid in locks if uuid not in taken][:count]
            is_busy = len(free) < count
        free = [] if is_busy else free
    finally:
        for uuid in set(locks) - set(free):
            os.close(locks.pop(uuid))
    return locks, is_busy


def _touch(over: threading.Event, hold: _Hold) -> None:
    while not over.wait(_TOUCH):
        hold.touch()
