"""Trust: whether the code of a project may run because somebody typed `lab` in its folder.

Two questions: does it belong to this person, and have they run this very tool before?
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from .errors import LabError
from .pins import Pin
from .ui.text import in_one_line

__all__ = ["check_owner", "is_trusted", "trust", "what_runs"]

_FILES = ("lab.toml", "lab.local.toml", "lab.py", "lab.py.lock")
MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_LINES = 120
_BY_HAND = "If you trust it, run the project's own command: uv run lab.py"


def check_owner(root: Path, *further: Path) -> None:
    """Raise LabError when the project in `root` is, or may have been changed by, somebody else.

    `further` are other files that count. On Windows, where a file's owner says little, nothing is
    checked.
    """
    if os.name == "nt":
        return
    for path in (root, *(root / name for name in _FILES), *further):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LabError(f"{path} cannot be read: {error.strerror}.") from None
        if found.st_uid not in (0, os.geteuid()):
            raise LabError(f"{path} belongs to another user, so lab runs nothing.", hint=_BY_HAND)
        if found.st_mode & stat.S_IWOTH and _has_modes(path):
            raise LabError(
                f"Everyone on this computer can change {path}, so lab runs nothing.",
                hint=f"Remove that right: chmod o-w {shlex.quote(str(path))}",
            )


def _has_modes(path: Path) -> bool:
    """Return whether a file's mode says who may change it.

    On a disk of Windows below WSL every file has mode 0777, and only one person uses it.
    """
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True  # not Linux
    place, around = path.resolve(), ("", "")
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), mount.split(" ")[4])
        if place.is_relative_to(point) and len(point) >= len(around[0]):
            around = (point, rest)
    kind, *words = around[1].split(" ")
    return kind not in ("9p", "drvfs", "virtiofs") or "drvfs" not in f"{kind} {words}".lower()


def what_runs(pin: Pin) -> Iterator[str]:
    """Yield what somebody should know before they agree to run this tool, besides its source."""
    for line in pin.settings:
        yield f"uv reads settings for it: {in_one_line(line)}"
    if pin.code is not None:
        lines = [in_one_line(line) for line in pin.code.splitlines()]
        more = f"\n  ... and {len(lines) - _LINES} more lines" if len(lines) > _LINES else ""
        shown = "\n".join(f"  {line}" for line in lines[:_LINES])
        yield f"lab.py differs from the template's. All of this runs first:\n{shown}{more}"


def is_trusted(pin: Pin) -> bool:
    """Return whether this person has agreed to run this tool."""
    try:
        text = _memory().read_text(encoding="utf-8")
    except OSError:
        return False
    return any(line.partition(" ")[0] == pin.fingerprint for line in text.splitlines())


def trust(pin: Pin) -> None:
    """Remember that this person has agreed to run this tool. Raises LabError."""
    memory = _memory()
    line = f"{pin.fingerprint} {pin.source}\n".encode()
    try:
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One write at the end of the file: two of them at a time do not mix.
        file = os.open(memory, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)
    except OSError as error:
        raise LabError(f"{memory} cannot be written: {error.strerror}.") from None


def _memory() -> Path:
    """Return the file that names the tools that this person has agreed to, one on each line."""
    from platformdirs import user_state_path

    return user_state_path("ml-remote", appauthor=False) / "trusted"
