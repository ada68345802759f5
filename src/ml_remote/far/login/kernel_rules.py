"""Whether kernels outlive the editor's window, and when one that nobody uses ends.

`[sessions]` in lab.toml says it; both files are read again each time, so a change counts at once.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional

from .environment.commands import answer
from .environment.processes import descendants
from .environment.settings import read_table

if TYPE_CHECKING:
    from .kernels import Kernel

__all__ = ["Rules", "card_memory", "is_on_card", "memory_on_card", "read_rules", "why_it_ends"]

_HOUR = 3600.0
_PATIENCE = 20.0  # seconds: a broken driver may never answer
_FIRST_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO in include/linux/proc_ns.h
_CARD = re.compile(r"/dev/nvidia\d+$")


class Rules(NamedTuple):
    """The keys of `[sessions]` that are about kernels."""

    keep: bool = True
    """`keep_kernels`: whether a kernel outlives its window."""
    idle_hours: float = 12.0
    """After how many unused hours a kernel ends; 0 means never."""
    card_idle_hours: float = 2.0
    """The same for one that has memory on a card, which others may wait for."""


def read_rules(root: Path) -> Rules:
    """Return what the project says; what cannot be read counts as not said."""
    values = read_table(root, "sessions")
    usual = Rules()
    return Rules(
        keep=values.get("keep_kernels") != "false",
        idle_hours=_hours(values.get("idle_hours"), usual.idle_hours),
        card_idle_hours=_hours(values.get("card_idle_hours"), usual.card_idle_hours),
    )


def _hours(text: Optional[str], usual: float) -> float:
    try:
        hours = float(text or "")
    except ValueError:
        return usual
    return hours if 0 <= hours < float("inf") else usual


def why_it_ends(
    rules: Rules, *, shown: bool, busy: bool, unused_seconds: float, on_card: Callable[[], bool]
) -> str:
    """Return why a kernel has to end now, as a sentence; empty when it lives on.

    `unused_seconds` is how long no window has shown it and no cell has ended; `on_card`, which may
    take a second, is asked only where it matters.
    """
    if shown or busy:
        return ""
    if not rules.keep:
        return "keep_kernels is false, and no window uses this kernel."
    if _is_over(rules.card_idle_hours, unused_seconds) and on_card():
        return "This kernel, which uses memory on a card, was unused for {:g} hours.".format(
            rules.card_idle_hours
        )
    if _is_over(rules.idle_hours, unused_seconds):
        return "This kernel was unused for {:g} hours.".format(rules.idle_hours)
    return ""


def _is_over(hours: float, unused_seconds: float) -> bool:
    return hours > 0 and unused_seconds >= hours * _HOUR


def card_memory() -> Optional[Dict[int, int]]:
    """Return the bytes that each process has on NVIDIA's cards; 0 where the driver does not tell.

    None where nvidia-smi is missing or fails. In a container it may name the host's, or none.
    """
    columns = "--query-compute-apps=pid,used_gpu_memory"
    command = ["nvidia-smi", "--format=csv,noheader,nounits", columns]
    said = answer(command, seconds=_PATIENCE)
    if said is None:
        return None
    memory: Dict[int, int] = {}
    for line in said.splitlines():
        pid, _, used = (word.strip() for word in line.partition(","))
        if pid.isdigit():
            mebibytes = int(used) if used.isdigit() else 0
            memory[int(pid)] = memory.get(int(pid), 0) + mebibytes * 2**20
    return memory


def memory_on_card(kernel: "Kernel", memory: Optional[Mapping[int, int]]) -> Optional[int]:
    """Return the bytes that a kernel and what it has started have on cards; None if unknown."""
    found = [(memory or {})[pid] for pid in _processes(kernel) if pid in (memory or {})]
    if 0 in found or (not found and not _is_told(memory) and _uses_card(kernel)):
        return None
    return sum(found)


def is_on_card(kernel: "Kernel", memory: Optional[Mapping[int, int]]) -> bool:
    """Return whether a kernel has memory on a card.

    Where nvidia-smi cannot tell, a card that the kernel has open counts.
    """
    if any(pid in (memory or {}) for pid in _processes(kernel)):
        return True
    return not _is_told(memory) and _uses_card(kernel)


def _is_told(memory: Optional[Mapping[int, int]]) -> bool:
    """Return whether nvidia-smi has named every process: in a container it does not know ours."""
    return memory is not None and not _is_in_container()


def _is_in_container() -> bool:
    try:
        return os.readlink("/proc/self/ns/pid") != _FIRST_NAMESPACE
    except OSError:
        return False


def _processes(kernel: "Kernel") -> List[int]:
    return [kernel.pid] + [pid for pid, _ in descendants(kernel.pid)]


def _uses_card(kernel: "Kernel") -> bool:
    """Return whether a kernel, or what it has started, has a card of NVIDIA open."""
    return any(_CARD.match(path) for pid in _processes(kernel) for path in _open_files(pid))


def _open_files(pid: int) -> Iterator[str]:
    files = "/proc/{}/fd".format(pid)
    with suppress(OSError):  # the process has ended
        for name in os.listdir(files):
            with suppress(OSError):  # it has closed this one
                yield os.readlink(os.path.join(files, name))
