"""Calling an action for each of several things, although it may fail for some."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ..errors import LabError
from ..ui.console import Console

__all__ = ["for_each"]

_Thing = TypeVar("_Thing")
_Made = TypeVar("_Made")


def for_each(
    things: Iterable[_Thing], action: Callable[[_Thing], _Made], *, console: Console
) -> list[_Made]:
    """Call an action with each of them and return the results.

    Raises the last error; those before it are warnings.
    """
    made: list[_Made] = []
    faults: list[LabError] = []
    for thing in things:
        try:
            made.append(action(thing))
        except LabError as error:
            faults.append(error)
    for fault in faults[:-1]:
        console.warn(fault.message)
    if faults:
        raise faults[-1]
    return made
