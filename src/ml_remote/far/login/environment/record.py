"""The record in each environment: a JSON file, written when the environment is complete.

`.lab-environment`, three lines of text, is the record of earlier versions; it is read only.
"""

import json
import time
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Sequence

from ..files import replace_text

__all__ = ["RECORD", "Record", "read_record", "write_record"]

RECORD = "lab-environment.json"
_EARLIER = ".lab-environment"


class Record(NamedTuple):
    """How an environment was made, and what it was then."""

    manager: str
    """A key of `managers.MANAGERS`."""
    python: str = ""
    """The version that was asked for."""
    lists: str = ""
    """`Lists.digest`; empty if it is not known."""
    torch: str = ""
    """`Settings.torch`, or what the manager chose for it."""
    device: str = ""
    """What it runs on, for people: Python, torch and the device."""
    project: str = ""
    """The project's folder, which is installed in it."""
    complete: bool = False
    installed: Dict[str, str] = {}  # noqa: RUF012 - never changed
    """The version of each package, by its normalised name."""
    needed: Sequence[str] = ()
    """What of it the lists asked for and needed; of this, what they need no more can be removed."""
    made: float = 0.0
    """Seconds since 1970."""


def read_record(prefix: Path) -> Optional[Record]:
    """Return the record of an environment; None if there is none that can be read."""
    try:
        values = json.loads((prefix / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _earlier(prefix)
    if not isinstance(values, dict) or not isinstance(values.get("manager"), str):
        return None
    return Record(**{name: values[name] for name in Record._fields if name in values})


def write_record(prefix: Path, record: Record) -> None:
    """Write the record in one step."""
    text = json.dumps(dict(record._replace(made=time.time())._asdict()), indent=1, sort_keys=True)
    replace_text(prefix / RECORD, text + "\n")


def _earlier(prefix: Path) -> Optional[Record]:
    """Return the record of an environment that an earlier version made."""
    try:
        lines = (prefix / _EARLIER).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    if len(lines) < 3 or " " not in lines[1]:
        return None
    manager, project = lines[1].split(" ", 1)
    words = lines[0].split(" ")
    python = words[1] if len(words) > 1 else ""
    return Record(manager, python=python, device=lines[2], project=project, complete=True)
