"""Small text files: written in one step, and read whether they are there or not."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Optional

__all__ = ["changed_at", "read_text", "replace_bytes", "replace_text", "update_text"]


def changed_at(path: Path) -> Optional[float]:
    """Return when a file was changed, in seconds since 1970; None if there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def read_text(path: Path, *, errors: str = "replace") -> str:
    """Return the text of a file; an empty one if there is none that can be read."""
    try:
        return path.read_text(encoding="utf-8", errors=errors)
    except OSError:
        return ""


def replace_text(path: Path, text: str, *, is_synced: bool = False) -> None:
    """Write a file in one step, as `replace_bytes` does."""
    replace_bytes(path, text.encode("utf-8"), is_synced=is_synced)


def replace_bytes(path: Path, content: bytes, *, is_synced: bool = False) -> None:
    """Write a file in one step: whoever reads it finds the old content or all of the new one.

    With `is_synced` it is on the disk then. Raises OSError; the old content is kept.
    """
    # Other machines may share the folder.
    new = path.with_name(".{}.{}.{}".format(path.name, socket.gethostname(), os.getpid()))
    try:
        with new.open("wb") as file:
            file.write(content)
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(str(new), str(path))
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def update_text(path: Path, text: str) -> None:
    """Write this text to a file, or remove the file if there is none. Raises OSError.

    A file that holds it already is not written again.
    """
    if read_text(path) == text:
        return
    if text:
        replace_text(path, text)
    else:
        path.unlink()
