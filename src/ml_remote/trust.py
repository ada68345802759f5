"""Whether the code of a project may be run just because somebody typed `lab` in its folder.

Two questions: does it belong to this person, and have they run this very tool before?
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import LabError
from .pins import Pin

__all__ = ["check_owner", "is_trusted", "trust"]

_FILES = ("lab.toml", "lab.local.toml", "lab.py", "lab.py.lock")
_BY_HAND = "If you trust it, run the project's own command: uv run lab.py"


def check_owner(root: Path) -> None:
    """Raise LabError when the project in `root` is, or may have been changed by, somebody else.

    On Windows, where a file's owner says little, nothing is checked.
    """
    if os.name == "nt":
        return
    for path in (root, *(root / name for name in _FILES)):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LabError(f"{path} cannot be read: {error.strerror}.") from None
        if found.st_uid not in (0, os.geteuid()):
            raise LabError(f"{path} belongs to another user, so lab runs nothing.", hint=_BY_HAND)
        if found.st_mode & stat.S_IWOTH:
            raise LabError(
                f"Everybody on this computer can change {path}, so lab runs nothing.",
                hint=f"Take that away: chmod o-w {path}",
            )


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
