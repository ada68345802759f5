"""The description of a kind of session: for the laptop, which opens it, and for the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Kind", "Serve"]

Serve = Callable[[Path, float], None]
"""Serves on `socket` in a private directory, which has the file `token`, until the session is over.

It ends by itself when nobody has used it for so many seconds; 0 means never. A browser first sends
a form with the token to `/login`. It imports what it serves when it is called: the laptop has
nothing of that.
"""


class Kind(NamedTuple):
    """A kind of session."""

    title: str
    """The name of what is served."""
    description: str
    """What `lab <name> --help` says below the summary."""
    port: int
    """The port of the laptop to take if it is free."""
    start_page: str
    what_next: str
    """What the person may do once it is in the browser."""
    serve: Serve
