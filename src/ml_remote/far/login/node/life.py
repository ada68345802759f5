"""How long the job of a compute node lives: what is busy there, and when Slurm ends it.

Python 3.6 is enough.
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator, Optional, Set

from ..environment.processes import descendants
from ..files import replace_text
from ..kernels import is_busy as kernel_is_busy
from ..kernels import list_kernels

__all__ = ["End", "adopt_orphans", "end_children", "is_busy", "is_logged_in"]

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_LOOK_EVERY = 300.0  # seconds between two questions to Slurm when the job ends
_WORK = ("run", "worker", "setup")
_JOB = re.compile(rb"(?:^|\0)LAB_JOB_FOLDER=([^\0]+)")
_PATIENCE = 5.0  # seconds from being asked to end until being killed


def adopt_orphans() -> None:
    """Make this process the parent of what logins leave running.

    So Slurm, which may follow parents, finds all of it, and ends it with the job.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """End everything that was started here: the job is over."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _PATIENCE
        left = _descendants()
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, number)
        while left and time.monotonic() < deadline:
            _bury()
            left = {one for one in left if os.path.exists("/proc/{}".format(one))}
            time.sleep(0.05)


def is_busy(*, everywhere: bool = False) -> bool:
    """Return whether a kernel computes, or a run has not ended, in this job.

    Other jobs of the same person may share the machine, so only what has come of this process
    counts, or, `everywhere`, all that the person runs there.
    """
    _bury()
    ours = _own_processes() if everywhere else _descendants()
    if any(kernel.pid in ours and kernel_is_busy(kernel) for kernel in list_kernels()):
        return True
    return any(_kind_of(folder) in _WORK for folder in _jobs_of(ours))


def is_logged_in() -> bool:
    """Return whether this person has a login by SSH on this machine."""
    for process in _own_processes():
        with contextlib.suppress(OSError):
            words = Path("/proc/{}/cmdline".format(process)).read_bytes()
            if words.startswith((b"sshd: ", b"sshd-session: ")):
                return True
    return False


class End:
    """When Slurm ends the job, kept in the file `ends` for those who look."""

    def __init__(self, job: Path) -> None:
        self._job = job
        self._asked = 0.0

    def look(self) -> None:
        """Ask Slurm from time to time: the time of a job can be changed while it runs."""
        if self._asked and time.monotonic() - self._asked < _LOOK_EVERY:
            return
        self._asked = time.monotonic()
        seconds = _seconds_left()
        if seconds is not None:
            replace_text(self._job / "ends", "{}\n".format(int(time.time()) + seconds))


def _seconds_left() -> Optional[int]:
    """Return how many seconds the job has left; None where it has no limit, or nobody tells."""
    command = ["squeue", "--noheader", "--jobs", os.environ.get("SLURM_JOB_ID", ""), "--format=%L"]
    try:
        said = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20
        ).stdout.decode()
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    found = re.fullmatch(r"(?:([0-9]+)-)?(?:(?:([0-9]+):)?([0-9]+):)?([0-9]+)", said.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(one or 0) for one in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _descendants() -> Set[int]:
    """Return every process that has come of this one."""
    return {pid for pid, _ in descendants(os.getpid())} - {os.getpid()}


def _own_processes() -> Set[int]:
    """Return the processes of this person on this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == os.getuid():
                found.add(int(path.name))
    return found


def _bury() -> None:
    """Take note of adopted processes that have ended, so that nothing of them is left."""
    for process in _zombies():
        with contextlib.suppress(OSError):
            os.waitpid(process, os.WNOHANG)


def _zombies() -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                yield int(path.parent.name)


def _jobs_of(processes: Set[int]) -> Set[str]:
    """Return the folders of the jobs that these processes are parts of."""
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):
            match = _JOB.search(Path("/proc/{}/environ".format(process)).read_bytes())
            if match is not None:
                found.add(os.fsdecode(match.group(1)))
    return found


def _kind_of(folder: str) -> str:
    try:
        about = json.loads(Path(folder, "about.json").read_text())
        return str(about["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
