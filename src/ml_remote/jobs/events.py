"""Progress as lines of JSON among what a program prints, as docs/contract.md describes it."""

from __future__ import annotations

from ..parsing import parse_json
from ..ui.text import in_one_line

__all__ = ["ASKING", "announced"]

ASKING = {"LAB_PROGRESS": "json"}
"""The variable with which a headless run, or a setup, is asked for events."""


def announced(line: str, *, event: str) -> str | None:
    """Return number and heading of what begins by this line, such as `[3/12] The data`.

    None for an event of another kind, and for any other line.
    """
    if not line.startswith("{"):
        return None
    try:
        values = parse_json(line)
    except ValueError:
        return None
    if not isinstance(values, dict) or values.get("event") != event:
        return None
    heading = in_one_line(f"{values.get('heading', '')}")
    return in_one_line(f"[{values.get('number')}/{values.get('of')}] {heading}").rstrip()
