"""Condensing what a headless run prints to the cells that it goes through.

A line such as `[3/12] The data` stands before what each cell prints.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..errors import UsageError
from ..ui import console
from ..ui.display import Steps, steps

__all__ = ["Progress", "show_progress"]

_CELL = re.compile(r"\[\d+/\d+\] ?.*")
_MOST_LINES = 500
_WRONG_USAGE = 2  # the exit code of a headless run: no such lab, or no such parameter


class Progress:
    """What a headless run has printed so far; `on_line` takes it line by line."""

    def __init__(self, shown: Steps | None) -> None:
        self.cell: str | None = None
        """The line that announced the cell that is running, or ran last."""
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._shown = shown

    @property
    def lines(self) -> list[str]:
        """What that cell has printed, its last 500 lines: where it fails, this says why."""
        return list(self._lines)

    @property
    def where(self) -> str:
        """In which cell it is, as a part of a sentence."""
        return f" in cell {self.cell}" if self.cell else ""

    def show_failure(self, exit_code: int | None) -> None:
        """Show what the cell printed that the run ended in, its traceback included.

        Raises UsageError instead when it ended before its first cell because there is no such lab
        or parameter.
        """
        if exit_code == _WRONG_USAGE and self.cell is None and self._lines:
            raise UsageError(self._lines[-1].removeprefix("Error: "))
        if self._shown is not None:  # else everything has been shown already
            for line in self._lines:
                console.note(line)

    def on_line(self, line: str) -> None:
        """Take one line of the run's output."""
        if _CELL.fullmatch(line):
            self.cell = line
            self._lines.clear()
        else:
            self._lines.append(line)
        if self._shown is None:
            console.note(line)
        elif self.cell == line:
            self._shown.begin(line)
        else:
            self._shown.line(click.unstyle(line).expandtabs())


@contextmanager
def show_progress(*, verbose: bool) -> Iterator[Progress]:
    """Show every cell as it begins, and on a terminal what it printed last; if `verbose`, all."""
    if verbose:
        yield Progress(None)
        return
    with steps() as shown:
        yield Progress(shown)
