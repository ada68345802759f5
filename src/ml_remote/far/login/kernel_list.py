"""List the live kernels of a project, one line of JSON each, and end one.

    .venv/bin/python .lab/far/current kernels list
    .venv/bin/python .lab/far/current kernels end 0123456789abcdef

`lab status` and `lab stop --kernel` run this in the project's folder. Python 3.6 is enough.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .environment.commands import answer
from .environment.environments import Environments
from .environment.settings import read_settings
from .kernel_rules import card_memory, memory_on_card
from .kernels import Kernel, end, is_busy, is_shown, list_kernels, used_at

__all__ = ["describe_all", "end_named", "main"]


def main(arguments: List[str]) -> int:
    """List the kernels of the project in this folder, or end the one that is named."""
    root = os.path.realpath(os.getcwd())
    if arguments[:1] == ["end"]:
        for name in end_named(root, arguments[1:]):
            _say("ended", {"id": name})
        return 0
    for values in describe_all(root):
        _say("kernel", values)
    return 0


def describe_all(root: str) -> List[Dict[str, Any]]:
    """Return what is said of the kernels of a project on this computer."""
    kernels = list_kernels(root)
    memory = card_memory() if kernels else None
    current = Environments(Path(root), read_settings(Path(root)).folder).current
    return [_described(kernel, memory, current) for kernel in kernels]


def end_named(root: str, names: Sequence[str]) -> List[str]:
    """End the kernels of a project that have these ids; return the ids of those that lived."""
    found = [kernel for kernel in list_kernels(root) if kernel.folder.name in names]
    for kernel in found:
        end(kernel)
    return [kernel.folder.name for kernel in found]


def _say(word: str, values: Mapping[str, Any]) -> None:
    print("{}\t{}".format(word, json.dumps(values)), flush=True)


def _described(
    kernel: Kernel, memory: Optional[Mapping[int, int]], current: Optional[Path]
) -> Dict[str, Any]:
    """Return what is said of a kernel; times are seconds, sizes bytes."""
    now = time.time()
    return {
        "id": kernel.folder.name,
        "lab": kernel.lab,
        "started": int(kernel.started),
        "seconds": max(0, int(now - kernel.started)),
        "unused_seconds": max(0, int(now - used_at(kernel))),
        "memory": _memory(kernel.pid),
        "card_memory": memory_on_card(kernel, memory),
        "is_shown": is_shown(kernel),
        "is_busy": is_busy(kernel),
        "has_old_environment": current is not None
        and not kernel.python.startswith(str(current) + os.sep),
    }


def _memory(pid: int) -> Optional[int]:
    """Return how much memory a process takes (its resident set); None if nobody tells."""
    try:
        pages = int(Path("/proc/{}/statm".format(pid)).read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        said = (answer(["ps", "-o", "rss=", "-p", str(pid)], seconds=5) or "").strip()
        return int(said) * 1024 if said.isdigit() else None
