"""What is wrong with the file of a private key."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from .. import processes
from ..errors import KeyFileError

__all__ = ["fault_of_format", "is_open_to_others"]


def is_open_to_others(path: Path) -> bool:
    """Return whether others on this computer may read a file: ssh uses no such key."""
    return not processes.is_windows() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def fault_of_format(path: Path) -> KeyFileError | None:
    """Return what is wrong with a private key that ssh cannot read, where its text shows that."""
    data = path.read_bytes()
    name = shlex.quote(str(path))
    if data.startswith(b"PuTTY-User-Key-File-"):
        return KeyFileError(
            f"{path} is a key in PuTTY's format, which ssh cannot read.",
            hint=f"Convert it: puttygen {name} -O private-openssh -o NEW; then name the new one "
            "with --identity",
        )
    if b"-----BEGIN" not in data:
        return None
    if b"\r\n" in data:
        return KeyFileError(
            f"{path} has Windows line endings, and ssh cannot read such a key.",
            hint=f"Remove them: perl -pi -e 's/\\r$//' {name}",
        )
    if not data.endswith(b"\n"):
        return KeyFileError(
            f"The last line of {path} has no line ending, and ssh cannot read such a key. It may "
            "have been pasted incompletely.",
            hint=f"Add the line ending: echo >> {name}",
        )
    return None
