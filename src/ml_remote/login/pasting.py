"""The line to paste into a terminal on the other machine, which answers with its address."""

from __future__ import annotations

from ..scripts import script

__all__ = ["paste_line"]


def paste_line() -> str:
    """Return `far/login/address.sh` in one line."""
    steps = [line for line in script("address").splitlines() if not line.startswith("#")]
    return f"sh -c '{'; '.join(steps)}'"
