"""Durations in words."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["duration_in_words"]


def duration_in_words(duration: timedelta) -> str:
    """Return a duration as `40 s`, `12 min` or `3 h 05 min`."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
