"""Links in `data/`: one that leads to another place in it is made on the other side, too."""

from __future__ import annotations

import os

from ...context import Context
from ...scripts import ask
from ..results import BlockedError, Results
from .index import Side
from .selection import is_inside
from .session import Both, files_in_words
from .there import text_of

__all__ = ["bring_links", "send_links"]

_AT_ONCE = 500


def send_links(context: Context, both: Both) -> None:
    """Make the links there that are here and lead to a place in `data/`."""
    missing = _missing(both, "here", "there")
    for start in range(0, len(missing), _AT_ONCE):
        words = [word for pair in missing[start : start + _AT_ONCE] for word in pair]
        ask(both.machine, "make-data-links", *words, timeout=600)
    if missing:
        context.console.say(f"Links made on {both.machine.alias}: {files_in_words(len(missing))}.")


def bring_links(context: Context, both: Both) -> None:
    """Make the links here that are there and lead to a place in `data/`."""
    results, number = Results(both.here), 0
    for name, target in _missing(both, "there", "here"):
        try:
            with results.at(name, make=True) as (leaf, folder):
                os.symlink(target, leaf, dir_fd=folder)
        except (BlockedError, OSError):
            continue
        number += 1
    if number:
        context.console.say(f"Links made here: {files_in_words(number)}.")


def _missing(both: Both, side: Side, other: Side) -> list[tuple[str, str]]:
    """Return name and target of the links that lead into `data/` and are on one side only."""
    found = []
    for name, kind, raw in both.index.others(side):
        link, target = text_of(name), text_of(raw)
        if kind == "l" and is_inside(link, target) and not both.index.has(other, name):
            found.append((link, target))
    return found
