"""What was fetched from which machine: `.lab/fetched`, a line of JSON for each file.

A line is added before a file is moved to its place, and names its size, time and SHA-256. So what
is in `outputs/` and agrees with a line is as it came; anything else is the person's own. A process
that is killed leaves a line too many, never one too few. When all is done, the file is written
again with the last line for each name.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..parsing import parse_json
from ..state import make_state

__all__ = ["Manifest", "Record"]

_NANOSECONDS = 10**9


@dataclass(frozen=True, kw_only=True)
class Record:
    """One file as it was fetched."""

    name: str
    """On the machine, relative to `outputs/`."""
    size: int
    time: int
    """When it was changed last on the machine, and here, in seconds since 1970."""
    sum: str
    """SHA-256; empty where it was never computed."""
    alias: str
    """The machine."""
    settled: bool
    """False if it may have been written just then: equal size and time do not mean equal then."""
    beside: str = ""
    """The name that it got here when the file of its own name was the person's."""

    def agrees(self, found: os.stat_result) -> bool:
        """Return whether a file here has the size and time that it came with."""
        return (
            stat.S_ISREG(found.st_mode)
            and found.st_size == self.size
            and found.st_mtime_ns // _NANOSECONDS == self.time
        )


class Manifest:
    """The records of a project; see the module."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[str, list[Record]] = {}
        self._beside: dict[str, Record] = {}
        self._added = False
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                self._take(Record(**parse_json(line)))
            except (ValueError, TypeError, AttributeError):
                self._added = True  # a line that was being written; it goes the next time

    def records(self, name: str) -> list[Record]:
        """Return what is known of a file; the last is the one that counts."""
        return self._records.get(name, [])

    def beside(self, name: str) -> Record | None:
        """Return the version of the machine that was put beside a file of the person's."""
        return self._beside.get(name)

    def runs(self) -> set[str]:
        """Return the folders of runs, `<lab>/<run id>`, of which anything was ever fetched."""
        return {"/".join(name.split("/")[:2]) for name in self._records if name.count("/") > 1}

    def add(self, record: Record) -> None:
        """Write a record down, before the file gets to its place."""
        self._take(record)
        self._added = True
        make_state(self._path.parent)
        with self._path.open("ab") as file:
            file.write(_line(record))

    def forget(self, is_gone: Callable[[str], bool]) -> None:
        """Forget the files whose names are gone for good."""
        for known in (self._records, self._beside):
            for name in [name for name in known if is_gone(name)]:
                del known[name]
                self._added = True

    def write(self) -> None:
        """Write the last record of each file, if any was added."""
        if not self._added:
            return
        last = [records[-1] for records in self._records.values()]
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            new.write_bytes(b"".join(map(_line, [*last, *self._beside.values()])))
            new.replace(self._path)
        except OSError:  # the disk is full: the lines that were added are there all the same
            new.unlink(missing_ok=True)
        self._added = False

    def _take(self, record: Record) -> None:
        if record.beside:
            self._beside[record.name] = record
        else:
            self._records.setdefault(record.name, []).append(record)


def _line(record: Record) -> bytes:
    # ASCII: bytes of a name that are not UTF-8 are written as lone surrogates, which JSON can.
    return json.dumps(asdict(record)).encode() + b"\n"
