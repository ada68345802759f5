"""Files for what a program on this computer writes, and for what it reads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

__all__ = ["bytes_of", "input_file", "kept_file", "text_of"]


_ERRORS_READ = 64 * 2**10  # bytes of standard error that are read: its beginning and its end


@contextmanager
def kept_file() -> Iterator[Path]:
    """Yield a file for what a program writes.

    Not a pipe: the shared connection that ssh leaves behind may keep standard error open, and a
    pipe would be waited for until that ends.
    """
    descriptor, name = tempfile.mkstemp(prefix="lab-")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        with suppress(OSError):  # Windows does not remove a file that is open
            Path(name).unlink()


def bytes_of(text: str) -> bytes:
    """Return a text as bytes; names of files may hold bytes that are not UTF-8."""
    return text.encode(errors="surrogateescape")


def text_of(file: Path) -> str:
    """Return what a program has written into a file; ssh ends its lines with \\r\\n.

    Of very much, the middle is left out.
    """
    with file.open("rb") as kept:
        text = kept.read(_ERRORS_READ // 2)
        rest = file.stat().st_size - len(text)
        if rest > _ERRORS_READ // 2:
            kept.seek(-(_ERRORS_READ // 2), os.SEEK_END)
            text += b"\n"
        text += kept.read(_ERRORS_READ // 2)
    return text.decode(errors="replace").replace("\r\n", "\n")


@contextmanager
def input_file(text: str | None) -> Iterator[IO[bytes] | None]:
    """Yield a file that holds `text`; None without one."""
    if text is None:
        yield None
        return
    with tempfile.TemporaryFile() as file:
        file.write(bytes_of(text))
        file.seek(0)
        yield file
