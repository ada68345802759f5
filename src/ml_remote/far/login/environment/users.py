"""Which programs use an environment, so that none loses its packages.

On this machine they are found by their arguments and by the files they have mapped; what runs
elsewhere by its signs: jobs that `lab` has started and that are not over (of Slurm, or of another
login node), and kernels that live.
"""

import os
import subprocess
import time
from pathlib import Path
from typing import Iterator, List, Tuple

from .processes import is_same_boot
from .signs import signs_in

__all__ = ["users_of"]

_LONGEST_JOB = 30 * 24 * 3600  # what is older than that and did not note its end was lost
_LARGEST = 4096  # characters of such a file that are read
_WITHOUT_SIGN = 120  # as far/login/jobs.sh has it


def users_of(prefix: Path, root: Path, *, since: float = 0.0) -> List[str]:
    """Return what uses an environment: process ids, and jobs and kernels on other hosts.

    `since` is when the environment was made: jobs that began before it do not use it.
    """
    found = [str(process) for process in _processes_of(prefix)]
    return found + list(_jobs_elsewhere(root, since)) + list(signs_in(prefix))


def _processes_of(prefix: Path) -> Iterator[int]:
    mark = str(prefix) + os.sep
    own = os.getpid()
    if not os.path.isdir("/proc/self"):
        for process, command in _listed():
            if mark in command and process != own:
                yield process
        return
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own and _uses("/proc/" + name, mark):
            yield int(name)


def _uses(process: str, mark: str) -> bool:
    sought = mark.encode("utf-8", "surrogateescape")
    for name in ("cmdline", "maps"):
        try:
            with open(os.path.join(process, name), "rb") as file:
                if sought in file.read():
                    return True
        except OSError:  # it has ended, or is another user's
            continue
    return False


def _listed() -> List[Tuple[int, str]]:
    """Return the processes of a system without /proc."""
    try:
        done = subprocess.run(
            ["ps", "-A", "-o", "pid=,args="], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return []
    lines = [line.split(None, 1) for line in done.stdout.decode("utf-8", "replace").splitlines()]
    return [(int(words[0]), words[1]) for words in lines if len(words) == 2 and words[0].isdigit()]


def _jobs_elsewhere(root: Path, since: float) -> Iterator[str]:
    host = os.uname().nodename if hasattr(os, "uname") else ""
    for job in sorted((root / ".lab" / "jobs").glob("*")):
        try:
            began = job.stat().st_mtime
            ended, pid, boot = (_words(job / name) for name in ("exit", "pid", "boot"))
            has_name = len(pid) > 1 and pid[1] == host and not (boot and _gives_signs(job))
        except (OSError, ValueError):
            continue
        is_over = len(ended) > 1 or began < time.time() - _LONGEST_JOB
        is_named = has_name or (len(pid) > 1 and is_same_boot(pid, boot))
        is_here = is_named and not (job / "slurm").exists()
        if job.is_dir() and not is_over and not is_here and _last_change(job) >= since:
            yield "job " + job.name


def _words(path: Path) -> List[str]:
    """Return the words of a small file; none where there is no file: a pipe would never end."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return file.read(_LARGEST).split()


def _gives_signs(job: Path) -> bool:
    """Return whether a job's runner has touched its file lately, by the clock of the file system.

    Another container may have this one's name, and the same home directory.
    """
    try:
        latest = (job / "sign").stat().st_mtime
    except OSError:
        return False
    now = job.parent / ".now"
    now.touch()
    return now.stat().st_mtime - latest < _WITHOUT_SIGN


def _last_change(job: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in [job, *job.iterdir()])
    except OSError:
        return time.time()
