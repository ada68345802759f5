"""Progress of a manager, in packages and bytes, from what uv and pip print.

    3 of 12 packages, 0.9 of 2.8 GB: torch

uv downloads several packages at once and says when each is there; pip takes one after the other.
Where the system tells (Linux), what is written meanwhile is shown too, every few seconds.
"""

import re
import threading
from pathlib import Path
from typing import Dict, Optional

from .output import progress

__all__ = ["Progress"]

_BEGINS = re.compile(r"^\s*Downloading (\S+?)(?:-\d\S*)? \((\d+(?:\.\d+)?) ?([kKMG])(i?)B\)")
_ENDS = re.compile(r"^\s*Downloaded (\S+)")
_NEXT = re.compile(r"^\s*(?:Collecting|Installing collected packages)\b")
_PREFIXES = {"k": 1, "m": 2, "g": 3}
_INTERVAL = 5.0  # seconds
_GB = 1e9


class Progress:
    """The announced packages, and which of them have arrived."""

    def __init__(self) -> None:
        self._sizes: Dict[str, float] = {}
        self._there: Dict[str, float] = {}
        self._current = ""
        self._shown = ""
        self._ended = threading.Event()

    def on_line(self, line: str) -> bool:
        """Take a line of the manager; return whether it is shown here, in other words."""
        begins, ends = _BEGINS.match(line), _ENDS.match(line)
        if begins:
            if ".whl" in line or ".tar" in line:  # pip does one thing after the other
                self._finish_current()
            name, number, prefix, binary = begins.groups()
            base = 1024 if binary else 1000
            self._sizes[name] = float(number) * base ** _PREFIXES[prefix.lower()]
            self._current = name
        elif ends:
            self._there[ends.group(1)] = self._sizes.get(ends.group(1), 0)
        elif _NEXT.match(line):
            self._finish_current()
            return False
        else:
            return False
        self._show()
        return True

    def watch(self, process: int) -> None:
        """Show every few seconds how much a process has written, until `end`."""
        counters = Path("/proc/{}/io".format(process))
        if counters.exists():
            threading.Thread(target=self._watch, args=(counters,), daemon=True).start()

    def end(self) -> None:
        """Show nothing more."""
        self._ended.set()

    def _finish_current(self) -> None:
        if self._current:
            self._there.setdefault(self._current, self._sizes[self._current])

    def _show(self, written: Optional[float] = None) -> None:
        done, total = sum(self._there.values()), sum(self._sizes.values())
        text = "{} of {} packages, {:.1f} of {:.1f} GB".format(
            len(self._there), len(self._sizes), done / _GB, total / _GB
        )
        if written is not None:
            text += ", {:.1f} GB unpacked".format(written / _GB)
        waiting = [name for name in self._sizes if name not in self._there]
        if waiting:
            text += ": " + max(waiting, key=lambda name: self._sizes[name])
        if text != self._shown:
            self._shown = text
            progress(text)

    def _watch(self, counters: Path) -> None:
        while not self._ended.wait(_INTERVAL):
            try:
                lines = counters.read_text().splitlines()
            except OSError:
                return
            values = dict(line.split(": ") for line in lines if ": " in line)
            if self._sizes:
                self._show(float(values.get("wchar", 0)))
