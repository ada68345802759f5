"""Numbers, sizes, durations and lists of names in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from .text import in_one_line

__all__ = ["counted", "duration_in_words", "in_gib", "size_in_words", "some"]


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as `1 file` or `1,200 files`."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def some(names: Sequence[str], *, total: int | None = None, most: int = 5) -> str:
    """Return the first of these names, such as `a, b and 3 more`; `total` is how many there are."""
    left = (len(names) if total is None else total) - len(names[:most])
    return ", ".join(map(in_one_line, names[:most])) + (f" and {left:,} more" if left else "")


def size_in_words(size: int) -> str:
    """Return a number of bytes as `612 bytes`, `3.4 kB`, `2.0 MB` or `1.5 GB`."""
    if size < 1e5:
        return f"{size / 1e3:.1f} kB" if size >= 1000 else f"{size} bytes"
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def in_gib(kibibytes: float) -> str:
    """Return a number of KiB as a number of GiB, `3.5` or `12`."""
    gibibytes = kibibytes / 1024**2
    return f"{gibibytes:.1f}" if gibibytes < 10 else f"{gibibytes:.0f}"


def duration_in_words(duration: timedelta) -> str:
    """Return a duration as `40 s`, `12 min` or `3 h 05 min`."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
