"""Claims of a sweep's sets: each succeeds for one worker only, and ends with it.

A claim is a file that link(2) makes from one that is complete, so it is whole when it is there. The
last claim of a set counts. Its worker is alive when its process is; on another machine, or after a
restart, while the file was touched in the last minutes. Python 3.6 is enough.
"""

import json
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from .environment.processes import started, this_boot
from .files import replace_text
from .metrics import read_object

__all__ = ["SILENT", "TAKEOVERS", "Claims", "end_leftovers"]

SILENT = 120.0  # seconds without a sign after which a worker elsewhere counts as dead
TAKEOVERS = 3  # of one set, until it counts as lost

_LOOKS = 50  # at what was killed, until it is gone
_OUTCOME = frozenset(("set", "exit_code", "ended", "said", "attempt", "round"))
_CLAIM = frozenset(("boot", "pid", "start", "task"))


class Claims:
    """The claims of one sweep, for one worker."""

    def __init__(self, folder: Path) -> None:
        self._claims, self._done = folder / "claims", folder / "done"
        self._rounds = folder / "rounds"
        self._held = None  # type: Optional[Path]
        self._ended = {}  # type: Dict[int, Dict[str, Any]]
        self._me = {
            "boot": this_boot(),
            "pid": os.getpid(),
            "start": started(os.getpid()),
            "host": socket.gethostname(),
            "job": os.environ.get("LAB_JOB", ""),
            "task": _task(),
        }

    def take(self, numbers: List[int]) -> Tuple[Optional[int], bool]:
        """Claim one of these sets; return its number or None, and whether others work on some.

        Sets that nobody has begun come first, then those of workers that are dead.
        """
        attempts = self._attempts()
        left = [number for number in numbers if not self.has_ended(number)]
        for number in left:
            if number not in attempts and self._claim(number, 0):
                return number, True
        for number in left:
            if number not in attempts or not self._is_open(number, attempts[number][-1]):
                continue
            if self._is_exhausted(number, attempts[number]):
                self._give_up(number, attempts[number][-1])
            elif self._claim(number, attempts[number][-1] + 1):
                return number, True
        return None, any(not self.has_ended(number) for number in numbers)

    @property
    def is_repeated(self) -> bool:
        """Whether somebody has begun the set before that this worker has now."""
        return self._held is not None and _parts(self._held.name)[1] > 0

    def keep(self) -> bool:
        """Give a sign of life; return whether the set is still this worker's."""
        assert self._held is not None
        try:
            os.utime(str(self._held))
        except OSError:  # the sweep is gone
            return False
        number, attempt = _parts(self._held.name)
        return self._attempts().get(number, [attempt])[-1] == attempt

    def finish(self, number: int, outcome: Dict[str, Any]) -> None:
        """Note how a set ended, if it is still this worker's."""
        if self.keep():
            assert self._held is not None
            self._note(number, dict(outcome, attempt=_parts(self._held.name)[1]))
        self._held = None

    def outcomes(self) -> List[Dict[str, Any]]:
        """Return how the sets of this round ended, in the order in which they did."""
        numbers = [int(path.stem) for path in self._done.glob("*.json") if path.stem.isdigit()]
        ended = [one for one in map(self._outcome, numbers) if one is not None]
        this_round = self._round()
        return sorted(
            (one for one in ended if one["round"] == this_round),
            key=lambda one: (one["ended"], one["set"]),
        )

    def _round(self) -> int:
        """Return how often the sweep was resumed: what has failed before may run again."""
        return len(list(self._rounds.iterdir())) if self._rounds.is_dir() else 0

    def _attempts(self) -> Dict[int, List[int]]:
        """Return the attempts at each set that was claimed, the last one last."""
        found = {}  # type: Dict[int, List[int]]
        for name in os.listdir(str(self._claims)):
            if not name.startswith("."):
                number, attempt = _parts(name)
                found.setdefault(number, []).append(attempt)
        return {number: sorted(attempts) for number, attempts in found.items()}

    def _outcome(self, number: int) -> Optional[Dict[str, Any]]:
        """Return how a set ended, None if it has not. What has succeeded is read once."""
        if number in self._ended:
            return self._ended[number]
        outcome = read_object(self._done / "{}.json".format(number))
        if not _OUTCOME.issubset(outcome):
            return None  # also one that a loss of power has emptied
        if outcome["exit_code"] == 0:
            self._ended[number] = outcome
        return outcome

    def has_ended(self, number: int) -> bool:
        """Return whether a set has succeeded, or has failed since the sweep was resumed."""
        outcome = self._outcome(number)
        if outcome is None:
            return False
        return bool(outcome["exit_code"] == 0 or outcome["round"] == self._round())

    def _is_open(self, number: int, attempt: int) -> bool:
        """Return whether an attempt at a set came to nothing, and nobody is at work on it."""
        outcome = self._outcome(number)
        path = self._claims / "{}.{}".format(number, attempt)
        if outcome is None or outcome["attempt"] < attempt:
            with suppress(FileNotFoundError):
                claim = read_object(path)
                if _CLAIM.issubset(claim) and self._is_alive(path, claim):
                    return False
        # Asked for last: whoever had it may have come to its end since it was looked at first.
        return not self.has_ended(number)

    def _is_alive(self, path: Path, claim: Dict[str, Any]) -> bool:
        """Return whether the worker that has made a claim lives."""
        if claim["boot"] == self._me["boot"]:
            return bool(claim["start"]) and started(claim["pid"]) == claim["start"]
        if claim["task"] and claim["task"] == self._me["task"]:
            return False  # Slurm has started this very task again
        # Clocks differ, so the file is compared with one that is touched now.
        now = self._claims / ".now-{}".format(os.getpid())
        now.touch()
        silent = now.stat().st_mtime - path.stat().st_mtime
        now.unlink()
        return silent < SILENT

    def _is_exhausted(self, number: int, attempts: List[int]) -> bool:
        """Return whether a set was taken over often enough in this round."""
        this_round, count = self._round(), 0
        for attempt in attempts:
            claim = read_object(self._claims / "{}.{}".format(number, attempt))
            count += claim.get("round", this_round) == this_round
        return count > TAKEOVERS

    def _give_up(self, number: int, attempt: int) -> None:
        said = "its worker died {} times".format(TAKEOVERS + 1)
        outcome = {"set": number, "exit_code": -1, "seconds": 0, "ended": int(time.time())}
        self._note(number, dict(outcome, run="", said=said, attempt=attempt))

    def _claim(self, number: int, attempt: int) -> bool:
        """Return whether this worker has the set now; of several, one has."""
        path = self._claims / "{}.{}".format(number, attempt)
        own = self._claims / ".new-{}-{}".format(socket.gethostname(), os.getpid())
        own.write_text(json.dumps(dict(self._me, round=self._round())) + "\n", encoding="utf-8")
        try:
            os.link(str(own), str(path))
        except FileExistsError:
            # Over NFS the answer may be lost, and the question asked again: it is made then.
            if own.stat().st_nlink != 2:
                return False
        finally:
            own.unlink()
        self._held = path
        return True

    def _note(self, number: int, outcome: Dict[str, Any]) -> None:
        text = json.dumps(dict(outcome, round=self._round())) + "\n"
        replace_text(self._done / "{}.json".format(number), text, is_synced=True)


def end_leftovers(mark: str) -> None:
    """Kill what an earlier attempt at a set has left on this machine: it writes the same files."""
    wanted = "LAB_SET={}".format(mark).encode()
    for _ in range(_LOOKS):
        is_left = False
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
                    is_left = True
            except OSError:  # it has ended, or is somebody else's
                continue
        if not is_left:
            return
        time.sleep(0.1)


def _parts(name: str) -> Tuple[int, int]:
    number, _, attempt = name.partition(".")
    return int(number), int(attempt)


def _task() -> str:
    """Return Slurm's name for the task of an array that this is; nothing elsewhere."""
    names = ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
    return "_".join(os.environ.get(name, "") for name in names).strip("_")
