"""The processes of this machine: when one began, and what it has started."""

import os
from pathlib import Path
from typing import Dict, List, Tuple

from .commands import answer

__all__ = ["descendants", "exists", "is_same_boot", "started", "this_boot"]


def this_boot() -> str:
    """Return what this machine keeps until it is restarted, whatever its name is; "" if unknown.

    As far/login/processes.sh has it: process numbers mean something only within it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return "{} {}".format(boot, os.readlink("/proc/self/ns/pid"))
    except OSError:
        return (answer(["sysctl", "-n", "kern.bootsessionuuid"], seconds=5) or "").strip()


def started(process: int) -> str:
    """Return when a process began, as processes.sh says it; "" once it has ended."""
    try:
        text = Path("/proc/{}/stat".format(process)).read_text(errors="replace")
    except OSError:
        return "" if os.path.isdir("/proc/self") else _started_by_ps(process)
    words = text.rpartition(")")[2].split()
    return words[19] if len(words) > 19 and words[0] not in "ZX" else ""


def _started_by_ps(process: int) -> str:
    """Return the same on a system without /proc."""
    said = answer(["ps", "-p", str(process), "-o", "stat=", "-o", "lstart="], seconds=5) or ""
    state, _, start = said.strip().partition(" ")
    return "" if state.startswith("Z") else start.strip()


def exists(process: int) -> bool:
    """Return whether there is a process of this number, whoever it belongs to."""
    if os.name == "nt":  # there os.kill would end it
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def descendants(pid: int) -> List[Tuple[int, str]]:
    """Return what a process has started, and what those have: process ids with their starts."""
    children: Dict[int, List[int]] = {}
    names = os.listdir("/proc") if os.path.isdir("/proc/self") else []
    for name in filter(str.isdigit, names):
        try:
            text = Path("/proc/{}/stat".format(name)).read_text(errors="replace")
            parent = int(text.rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(name))
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        left += below
        found += [(one, started(one)) for one in below]
    return [(one, start) for one, start in found if start]


def is_same_boot(words: List[str], boot: List[str]) -> bool:
    """Return whether a file `boot` with these words is of this boot and of the process `words`."""
    now = this_boot().split()
    return bool(now) and boot[: len(words)] == words and boot[len(words) :] == now
