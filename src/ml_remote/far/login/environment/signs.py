"""Signs of life in an environment: of kernels on other hosts of the same disk.

Each is a file in the environment's folder `lab-kernels`, which the kernel touches while it lives.
One of this machine is looked up among its processes instead.
"""

import json
import os
import uuid
from pathlib import Path
from typing import Dict, Iterator

from ..files import replace_text
from .processes import started, this_boot

__all__ = ["Sign", "signs_in"]

_FOLDER = "lab-kernels"
_SILENT = 24 * 3600.0  # seconds after which a host that gives no sign has been switched off


class Sign:
    """The sign of this process in the environment `prefix`."""

    def __init__(self, prefix: Path) -> None:
        self._path = prefix / _FOLDER / uuid.uuid4().hex

    def give(self) -> None:
        """Record that this process lives. Raises OSError if the environment cannot be written."""
        if self._path.exists():
            os.utime(str(self._path))
            return
        pid = os.getpid()
        host = os.uname().nodename
        values = {"host": host, "pid": pid, "start": started(pid), "boot": this_boot()}
        self._path.parent.mkdir(exist_ok=True)
        replace_text(self._path, json.dumps(values))

    def withdraw(self) -> None:
        """Record that it ends. Raises OSError."""
        if self._path.exists():
            self._path.unlink()


def signs_in(prefix: Path) -> Iterator[str]:
    """Yield the kernels that live and use an environment, as the host and the process there."""
    folder = prefix / _FOLDER
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        try:
            if not path.is_file():  # a pipe would never end
                continue
            values = json.loads(path.read_text(encoding="utf-8"))
            host, pid = str(values["host"]), int(values["pid"])
            lives = _lives(path, pid, values)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if lives:
            yield "kernel {} on {}".format(pid, host)


def _lives(path: Path, pid: int, values: Dict[str, object]) -> bool:
    if values["boot"] == this_boot():
        return started(pid) == values["start"]
    now = path.parent / ".now"  # the clock of the disk, which is not the one here
    now.touch()
    return now.stat().st_mtime - path.stat().st_mtime < _SILENT
