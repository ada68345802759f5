"""Condensing what a headless run prints to the cells that it goes through.

Before each cell it prints an event, a line of JSON: `{"event": "cell", "number": 3, "of": 12,
"heading": "The data"}`. Every other line is what a cell has printed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import LabError, UsageError
from ..far.__main__ import INCOMPLETE
from ..far.exit_codes import ExitCode
from ..jobs.events import announced
from ..ui.console import Console
from ..ui.display import Steps, steps

__all__ = ["Progress", "show_progress"]

_MOST_LINES = 500
_WRONG_USAGE = 2  # the exit code of a headless run: no such lab, or no such parameter


class Progress:
    """What a headless run has printed so far; `on_line` takes it line by line."""

    def __init__(self, console: Console, shown: Steps | None) -> None:
        self.cell: str | None = None
        """Number and heading of the cell that is running, or ran last."""
        self._console = console
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._shown = shown

    @property
    def lines(self) -> list[str]:
        """What that cell has printed, its last 500 lines: where it fails, this says why."""
        return list(self._lines)

    @property
    def where(self) -> str:
        """The cell that is running, as a part of a sentence."""
        return f" in cell {self.cell}" if self.cell else ""

    def show_failure(self, exit_code: int | None, *, setup: str = "lab setup") -> None:
        """Show what the cell printed that the run ended in, its traceback included.

        Raises UsageError instead when it ended before its first cell because there is no such lab
        or parameter, and LabError when the environment, which `setup` makes, lacks a package.
        """
        if exit_code == ExitCode.NO_ENVIRONMENT and self._lines:
            said = self._lines[-1].removeprefix("Error: ")
            if said.startswith(INCOMPLETE):
                raise LabError(said, hint=setup)
        if exit_code == _WRONG_USAGE and self.cell is None and self._lines:
            raise UsageError(self._lines[-1].removeprefix("Error: "))
        if self._shown is not None:  # else everything has been shown already
            for line in self._lines:
                self._console.log(line)

    def on_line(self, line: str) -> None:
        """Take one line of the run's output."""
        cell = announced(line, event="cell")
        if cell is not None:
            self.cell = cell
            self._lines.clear()
            if self._shown is not None:
                self._shown.begin(cell)
                return
        else:
            self._lines.append(line)
        if self._shown is not None:
            self._shown.line(line)
        elif cell is None:
            self._console.log(line)
        else:
            self._console.note(cell)

    def on_update(self, line: str) -> None:
        """Take a line that a progress bar will rewrite: shown where it can be rewritten, too."""
        self._console.update(line)


@contextmanager
def show_progress(console: Console, *, verbose: bool) -> Iterator[Progress]:
    """Show every cell as it begins, and on a terminal what it printed last; if `verbose`, all."""
    if verbose:
        yield Progress(console, None)
        return
    with steps() as shown:
        yield Progress(console, shown)
