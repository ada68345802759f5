"""`lab data status`: what differs between `data/` here and there, in numbers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from ...context import Context
from ...next_steps import Known, what_next
from ...ui.words import size_in_words
from .both_sides import Both, amount_in_words, both_sides, warn
from .index import STATES, Amount

__all__ = ["status"]


def status(
    context: Context, paths: Sequence[str], *, alias: str | None = None, as_json: bool = False
) -> None:
    """Run `lab data status`. Nothing is copied, made or removed."""
    with both_sides(context, paths, alias=alias, way="look") as both:
        amounts = {state: both.index.amount(state) for state in STATES}
        if as_json:
            context.console.json(_document(both, amounts))
            return
        _show(context, both, amounts)
        warn(context, both)
    known = Known(data=_direction(amounts))
    context.console.next_step(what_next(context, known, after="lab data status"))


def _document(both: Both, amounts: dict[str, Amount]) -> dict[str, object]:
    free_here = shutil.disk_usage(both.here).free if both.here.is_dir() else None
    left_out = sum(1 for side in ("here", "there") for _ in both.index.others(side))
    return {
        "alias": both.machine.alias,
        "folder": both.there.folder or None,
        "read_only": both.wanted.is_read_only,
        **{
            state: {"files": amount.files, "size": amount.size} for state, amount in amounts.items()
        },
        "left_out": left_out
        + both.index.amount("blocked", "alike").files
        + len(both.there.unusable),
        "free_here": free_here,
        "free_there": both.there.free,
    }


def _show(context: Context, both: Both, amounts: dict[str, Amount]) -> None:
    console, alias, there = context.console, both.machine.alias, both.there
    match there.state:
        case "taken":
            console.warn(f"data on {alias} does not lead to {both.wanted.folder}.")
        case "missing":
            console.warn(f"The folder for the data is missing on {alias}: {both.wanted.folder}.")
        case "dangling":
            console.warn(f"data on {alias} is a broken link.")
    labels = {
        "same": "the same",
        "here_only": "only here",
        "there_only": f"only on {alias}",
        "changed_here": "changed here",
        "changed_there": f"changed on {alias}",
        "changed_both": "different",
    }
    width = max(map(len, labels.values()))
    for state, label in labels.items():
        amount = amounts[state]
        if amount.files or state == "same":
            console.say(f"{label:<{width}}  {amount_in_words(amount.files, amount.size)}")
    if there.folder:
        free = "" if there.free is None else f", {size_in_words(there.free)} free"
        only_read = ", only read" if both.wanted.is_read_only else ""
        console.say(f"{'on ' + alias:<{width}}  {there.folder}{only_read}{free}")


def _direction(amounts: dict[str, Amount]) -> str | None:
    """Return the direction in which something is to be copied, if there is anything."""
    if amounts["here_only"].files or amounts["changed_here"].files:
        return "push"
    if amounts["there_only"].files or amounts["changed_there"].files:
        return "pull"
    return None
