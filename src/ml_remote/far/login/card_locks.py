"""The locks of cards and the tickets of those who wait: files that all people of a machine share.

They are in `/tmp/lab-cards`, which everybody may write to and where nobody may remove what is
somebody else's (1777). A lock is a file named by the card's UUID, a ticket one with a number; each
counts only while a process holds it by `flock(2)`, so whatever ends that process frees it. What
another person may have put there is never trusted: a link, a folder or a pipe is refused, a file
that is there is opened for reading only and without O_CREAT (`fs.protected_regular` refuses that),
and after locking the path must still lead to the file that was locked.

Anybody who may log in can hold a lock for ever; `lab status` says who holds which.
"""

import fcntl
import hashlib
import json
import os
import pwd
import re
import stat
import time
from contextlib import suppress
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

__all__ = ["FOLDER", "CardError", "CardFolder", "Ticket"]

FOLDER = "/tmp/lab-cards"
"""Where locks and tickets are, on every machine: it is agreed on by all people there."""

_MODE, _SHARED = 0o644, 0o1777
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TICKET = re.compile(r"[0-9a-f]{12}\.[0-9]{1,15}")
_CARD = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z_-]{1,100}")
_RUN = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,99}")
_SIZE = 512  # bytes of a ticket, which is written at once
_TRIES = 200
_LAST = 10**9  # number of a ticket; a higher one is nobody's who came in order
_LINE = "0" * 12  # all people of a machine wait in one line
_SHORT = 6  # characters by which a ticket names a card that it may get
_MOST_NAMED = 40  # cards in a ticket; one that names none may get any


class CardError(Exception):
    """Cards that cannot be assigned; the message is a sentence."""


class Ticket:
    """A place in line, while its file is locked."""

    def __init__(self, folder: int, name: str, handle: int, about: Dict[str, Any]) -> None:
        self.name = name
        self._folder = folder
        self._handle = handle
        self._about = about

    @property
    def may_get(self) -> FrozenSet[str]:
        """The cards of which it may get some, in short; empty for any."""
        return frozenset(self._about.get("of", "").split())

    def note(self, cards: Sequence[str]) -> None:
        """Write down the cards that its holder has by now; then it waits no longer."""
        self._about["cards"] = list(cards)
        if cards:
            self._about.pop("of", None)
        text = json.dumps(self._about).encode("ascii")
        if len(text) > _SIZE:
            text = json.dumps({**self._about, "cards": [cards[0], "..."]}).encode("ascii")
        os.pwrite(self._handle, text.ljust(_SIZE), 0)

    def touch(self) -> None:
        """Keep it from being cleaned away."""
        with suppress(OSError):
            os.utime(self._handle)

    def close(self) -> None:
        """Give the place up."""
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self._folder)
        os.close(self._handle)


class CardFolder:
    """The folder of locks and tickets. Raises CardError where it cannot be used."""

    def __init__(self) -> None:
        self._folder = _open_folder()

    def close(self) -> None:
        """Close it; what is held stays so."""
        os.close(self._folder)

    def lock(self, card: str) -> Optional[int]:
        """Return a handle that holds the lock of a card, None if somebody else holds it."""
        name = card.replace("/", "_")
        for _ in range(_TRIES):
            handle = self._open(name)
            if handle is None:
                return None
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
                return None
            if self._is_same(name, handle):
                return handle
            os.close(handle)  # it was removed, and another one may be there by now
        raise CardError("The lock of {} in {} keeps changing.".format(card, FOLDER))

    def ticket(self, cards: Sequence[str], count: int, run: str) -> Ticket:
        """Take the next number in the line, for some of these cards."""
        about = {"wants": count, "run": run, "since": int(time.time()), "cards": []}
        if len(cards) <= _MOST_NAMED:
            about["of"] = " ".join(map(_short, cards))
        number = max([0] + [one for one, name in self._numbers() if self._read(name) is not None])
        for step in range(_TRIES):
            # What somebody else has left is in the way at most: it counts for nothing.
            number += max(1, step)
            name = "{}.{:06d}".format(_LINE, number)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                handle = os.open(name, flags, 0o600, dir_fd=self._folder)
            except FileExistsError:
                continue
            os.fchmod(handle, _MODE)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if self._is_same(name, handle):
                ticket = Ticket(self._folder, name, handle, about)
                ticket.note([])
                return ticket
            os.close(handle)  # it had no lock yet, and was taken for one that is dead
        raise CardError("No place in the waiting line in {} could be taken.".format(FOLDER))

    def place(self, ticket: Ticket) -> Tuple[int, int]:
        """Return the place of a ticket among those who wait for the same cards, and their number.

        Tickets of one's own that nobody holds any more are removed.
        """
        own, mine = _number(ticket.name), ticket.may_get
        waiting = {own}
        for number, name in self._numbers():
            about = None if number == own else self._read(name)
            if about is None or about["cards"]:
                continue
            if not (mine and about["of"]) or mine & about["of"]:
                waiting.add(number)
        return sum(number <= own for number in waiting), len(waiting)

    def lines(self) -> Iterator[List[str]]:
        """Yield words about each card that is held, and about each who waits."""
        holders = {}  # type: Dict[str, Dict[str, Any]]
        waiting = []
        for _, name in self._numbers():
            about = self._read(name)
            for card in about["cards"] if about else ():
                holders[card.replace("/", "_")] = about or {}
            if about and not about["cards"]:
                waiting.append(about)
        for name in sorted(os.listdir(self._folder)):
            if _CARD.fullmatch(name) and self._is_held(name):
                about = holders.get(name, {"user": "somebody", "run": ""})
                yield ["card", name, about["user"], about["run"]]
        for place, about in enumerate(waiting, 1):
            words = [str(place), str(about["wants"]), about["user"], about["run"]]
            yield ["waiting", *words, str(about["since"])]

    def _open(self, name: str) -> Optional[int]:
        """Return a handle of a lock's file, which is made where it is missing."""
        for _ in range(_TRIES):
            try:
                handle = os.open(name, _READ, dir_fd=self._folder)
            except FileNotFoundError:
                try:
                    flags = _READ | os.O_CREAT | os.O_EXCL
                    handle = os.open(name, flags, 0o600, dir_fd=self._folder)
                except FileExistsError:
                    continue
                os.fchmod(handle, _MODE)
            except OSError as error:
                if isinstance(error, PermissionError):
                    return None  # just made, or closed by its owner: not available
                raise _refused(name) from None
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise _refused(name)
            return handle
        return None

    def _is_same(self, name: str, handle: int) -> bool:
        """Return whether a name still leads to the file that is open."""
        try:
            there = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(handle))

    def _is_held(self, name: str) -> bool:
        """Return whether somebody holds a file by a lock."""
        try:
            handle = os.open(name, _READ, dir_fd=self._folder)
        except OSError:
            return False
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except OSError:
            return True
        finally:
            os.close(handle)

    def _numbers(self) -> List[Tuple[int, str]]:
        """Return number and name of each ticket in the line."""
        names = [name for name in os.listdir(self._folder) if _TICKET.fullmatch(name)]
        return sorted((_number(name), name) for name in names if _number(name) <= _LAST)

    def _read(self, name: str) -> Optional[Dict[str, Any]]:
        """Return what a ticket says that somebody holds; None for one that is dead."""
        try:
            handle = os.open(name, _READ, dir_fd=self._folder)
        except OSError:
            return None
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                return None
            try:
                # A shared one: two who look at a dead ticket do not take each other for its holder.
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _described(os.pread(handle, _SIZE, 0), status.st_uid)
            if status.st_uid == os.geteuid():
                with suppress(OSError):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if self._is_same(name, handle):
                        os.unlink(name, dir_fd=self._folder)
            return None
        finally:
            os.close(handle)


def _open_folder() -> int:
    """Return a handle of the folder, which is made where it is missing."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileExistsError):
        os.mkdir(FOLDER, 0o700)
    for _ in range(_TRIES):
        try:
            handle = os.open(FOLDER, flags)
        except PermissionError:
            time.sleep(0.01)  # somebody else has just made it
            continue
        except OSError:
            raise CardError(
                "{} is not a folder, so no card can be assigned.".format(FOLDER)
            ) from None
        status = os.fstat(handle)
        if stat.S_IMODE(status.st_mode) == _SHARED:
            return handle
        if status.st_uid == os.geteuid():
            os.fchmod(handle, _SHARED)
            return handle
        os.close(handle)
        time.sleep(0.01)
    raise CardError(
        "{} must be writable by everyone (mode 1777), so no card can be assigned. Its owner or "
        "root can change that.".format(FOLDER)
    )


def _refused(name: str) -> CardError:
    return CardError(
        "{}/{} is not an ordinary file, so this card cannot be assigned. Its owner or root can "
        "remove it.".format(FOLDER, name)
    )


def _number(name: str) -> int:
    return int(name.partition(".")[2])


def _short(card: str) -> str:
    return hashlib.sha256(card.encode()).hexdigest()[:_SHORT]


def _described(text: bytes, user: int) -> Dict[str, Any]:
    """Return what a ticket says; its holder may have written anything."""
    try:
        about = json.loads(text.decode("ascii"))
    except ValueError:
        about = None
    about = about if isinstance(about, dict) else {}
    cards, run, of = about.get("cards"), about.get("run"), about.get("of")
    numbers = [about.get(key) for key in ("wants", "since")]
    wants, since = (one if type(one) is int and 0 <= one < 2**33 else 0 for one in numbers)
    return {
        "cards": [one for one in cards if isinstance(one, str)] if isinstance(cards, list) else [],
        "run": run if isinstance(run, str) and _RUN.fullmatch(run) else "",
        "of": frozenset(of.split() if isinstance(of, str) else ()),
        "wants": wants,
        "since": since,
        "user": _name_of(user),
    }


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
