"""Links in `data/`: one that leads to another place in it is made on the other side, too."""

from __future__ import annotations

import os
import re

from ...context import Context
from ...scripts import run_script
from ..results import BlockedError, Results
from .both_sides import Both
from .index import Side
from .remote_files import text_of
from .selection import is_inside

__all__ = ["bring_links", "send_links"]

_AT_ONCE = 500
_MADE = re.compile(r"(?m)^made ([0-9]{1,3})$")


def send_links(context: Context, both: Both) -> None:
    """Make the links there that are here and lead to a place in `data/`."""
    missing, number = _missing(both, "here", "there"), 0
    for start in range(0, len(missing), _AT_ONCE):
        words = [word for pair in missing[start : start + _AT_ONCE] for word in pair]
        found = _MADE.search(
            run_script(both.machine, "make-data-links", *words, timeout=600).stdout
        )
        number += int(found[1]) if found else 0
    _tell(context, number, len(missing), f"on {both.machine.alias}")


def bring_links(context: Context, both: Both) -> None:
    """Make the links here that are there and lead to a place in `data/`."""
    results, missing, number = Results(both.here), _missing(both, "there", "here"), 0
    for name, target in missing:
        try:
            with results.at(name, make=True) as (leaf, folder):
                os.symlink(target, leaf, dir_fd=folder)
        except (BlockedError, OSError):
            continue
        number += 1
    _tell(context, number, len(missing), "here")


def _tell(context: Context, made: int, wanted: int, place: str) -> None:
    if made:
        context.console.say(f"Links made {place}: {made:,}.")
    if made < wanted:
        context.console.warn(
            f"Links that cannot be made {place}, because something is in their way or cannot be "
            f"written: {wanted - made:,}."
        )


def _missing(both: Both, side: Side, other: Side) -> list[tuple[str, str]]:
    """Return name and target of the links that lead into `data/` and are on one side only."""
    found = []
    for name, kind, raw in both.index.others(side):
        link, target = text_of(name), text_of(raw)
        if kind == "l" and is_inside(link, target) and not both.index.has(other, name):
            found.append((link, target))
    return found
