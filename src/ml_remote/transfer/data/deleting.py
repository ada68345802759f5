"""`--delete`: what is on one side only is shown, asked about, and removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from ...context import Context
from ...errors import LabError
from ...ui.text import in_one_line
from ...ui.words import counted, some
from ..results import BlockedError, Results
from .both_sides import Both, amount_in_words
from .index import Entry
from .remote_files import remove_on_machine, text_of

__all__ = ["ask_to_delete_here", "ask_to_delete_there", "delete_here", "delete_there"]

_SHOWN = 200  # names
_AT_ONCE = 5000  # files that are removed at a time


def ask_to_delete_there(context: Context, both: Both, *, yes: bool) -> bool:
    """Show what is on the machine only, and return whether it is to be removed there."""
    if not any(both.index.names("there_only", most=1)):
        return False
    if not any(both.index.names("same", "here_only", "changed_here", most=1)):
        raise LabError(
            "data/ here has none of the machine's files, so nothing is deleted there: a disk may "
            "be missing.",
            hint="To see what differs: lab data status",
        )
    alias = both.machine.alias
    return _ask(context, both, "there_only", f"on {alias}", "never here", yes=yes)


def ask_to_delete_here(context: Context, both: Both, *, yes: bool) -> bool:
    """Show what is here only, and return whether it is to be removed here."""
    alias = both.machine.alias
    if not any(both.index.names("here_only", most=1)):
        return False
    if not any(both.index.names("same", "there_only", "changed_there", most=1)):
        raise LabError(
            f"data/ on {alias} has none of the files here, so nothing is deleted here: a disk may "
            "be missing there.",
            hint="To see what differs: lab data status",
        )
    return _ask(context, both, "here_only", "here", f"never on {alias}", yes=yes)


def _ask(context: Context, both: Both, state: str, place: str, never: str, *, yes: bool) -> bool:
    found = both.index.amount(state)
    for name in both.index.names(state, most=_SHOWN):
        context.console.say(f"  {in_one_line(text_of(name))}")
    if found.files > _SHOWN:
        context.console.say(f"  ... and {found.files - _SHOWN:,} more")
    unknown = found.files - both.index.known(state)
    which = f" ({never}: {counted(unknown, 'file')})" if unknown else ""
    return context.console.confirm(
        f"Delete {amount_in_words(found.files, found.size)} {place}{which}?", yes=yes, default=False
    )


def delete_there(context: Context, both: Both) -> None:
    """Remove what is on the machine only, as it was when it was shown."""
    left: list[str] = []
    number = 0
    for some_ in _batches(both.index.entries("there", "there_only")):
        left += remove_on_machine(both.machine, some_)
        number += len(some_)
    _tell(context, number, left, f"on {both.machine.alias}")


def delete_here(context: Context, both: Both) -> None:
    """Remove what is here only, as it was when it was shown."""
    results, left, number = Results(both.here), [], 0
    for one in both.index.entries("here", "here_only"):
        name = text_of(one.name)
        number += 1
        try:
            state = results.look(name)
            if state is None or (state.st_size, state.st_mtime_ns) != (one.size, one.ns):
                left.append(name)
                continue
            with results.at(name) as (leaf, folder):
                os.unlink(leaf, dir_fd=folder)
        except (OSError, BlockedError):
            left.append(name)
            continue
        _remove_empty(results, name)
    _tell(context, number, left, "here")


def _remove_empty(results: Results, name: str) -> None:
    """Remove the folders above a name that are empty now."""
    above = name.rpartition("/")[0]
    with suppress(OSError, BlockedError):
        while above:
            with results.at(above) as (leaf, folder):
                os.rmdir(leaf, dir_fd=folder)
            above = above.rpartition("/")[0]


def _tell(context: Context, number: int, left: list[str], place: str) -> None:
    context.console.say(f"Deleted {counted(number - len(left), 'file')} {place}.")
    if left:
        context.console.warn(
            f"{counted(len(left), 'file')} kept {place}, changed since or not removable: "
            f"{some(left)}."
        )


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while some_ := list(islice(entries, _AT_ONCE)):
        yield some_
