"""The sets of a sweep as files: reading them, and adding one that was proposed.

A file of sets is made by link(2), so it is whole when it is there, and of two workers that add the
same number one succeeds. What a loss of power has emptied or torn says nothing. Python 3.6 is
enough.
"""

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

from .metrics import read_object

__all__ = ["Pairs", "add_set", "outcomes_in", "sets_in", "wanted"]

Pairs = List[Tuple[str, str]]
"""The names and values of one set."""


def sets_in(folder: Path) -> Dict[int, Pairs]:
    """Return the sets that the sweep in this folder has now, by their number."""
    return dict(_sets(folder))


def _sets(folder: Path) -> Iterator[Tuple[int, Pairs]]:
    for path in sorted((folder / "sets").glob("*.jsonl")):
        yield from _sets_of(path)


def _sets_of(path: Path) -> Iterator[Tuple[int, Pairs]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            one = json.loads(line)
            yield one["set"], [(name, value) for name, value in one["parameters"]]


def add_set(folder: Path, number: int, pairs: Pairs) -> bool:
    """Add a set; return whether it is this one that has the number now."""
    path = folder / "sets" / "{:06d}.jsonl".format(number)
    own = folder / "sets" / ".new-{}-{}".format(socket.gethostname(), os.getpid())
    one = {"set": number, "parameters": [list(pair) for pair in pairs]}
    with own.open("w", encoding="utf-8") as file:
        file.write(json.dumps(one) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(str(own), str(path))
    except FileExistsError:
        if own.stat().st_nlink == 2:  # over NFS: it was made, and the answer was lost
            return True
        if not list(_sets_of(path)):  # else its number would be tried for ever
            path.unlink()
        return False
    finally:
        own.unlink()
    return True


def wanted(folder: Path) -> int:
    """Return how many sets there are to be in the end, 0 where all are there from the start."""
    try:
        return int((folder / "wanted").read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def outcomes_in(folder: Path) -> Dict[int, Dict[str, Any]]:
    """Return how the sets that have ended did, by their number, whenever that was."""
    found = {}
    for path in (folder / "done").glob("*.json"):
        outcome = read_object(path)
        if path.stem.isdigit() and "exit_code" in outcome:
            found[int(path.stem)] = outcome
    return found
