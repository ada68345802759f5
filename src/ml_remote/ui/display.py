"""Progress on a terminal: a bar for bytes, a line for steps. Elsewhere nothing is drawn.

rich is imported where something is drawn: that takes as long as git does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import console
from .text import in_one_line, shown, without_colours

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

__all__ = ["Progress", "Steps", "note_above", "steps", "transfer_bar"]

_LONGEST = 2000  # characters of a line that are looked at
_drawn_on: list[Console] = []

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many are here, several times a second."""


@contextmanager
def transfer_bar(name: str) -> Iterator[Progress | None]:
    """Yield what is told how many bytes of how many are here; None without a terminal."""
    terminal = _terminal()
    if terminal is None:
        yield None
        return
    from rich import progress

    columns = (
        progress.TextColumn(shown(name), markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(compact=True),
    )
    bars = progress.Progress(*columns, console=terminal, transient=True)
    with bars as bar, _drawing(terminal):
        task = bar.add_task(name, total=None, visible=False)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield tell


class Steps:
    """The step that a long command is in, and the last line that it printed."""

    def __init__(self, status: Status | None) -> None:
        self._status = status

    @property
    def is_drawn(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._status is not None

    def begin(self, step: str) -> None:
        """Show that a new step has started."""
        if self._status is None:
            console.Console().note(step)
        else:
            self._status.console.print(shown(step), markup=False, highlight=False)
            self.line("")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Draw nothing for the duration of a block, which says something itself."""
        if self._status is not None:
            self._status.stop()
        yield
        if self._status is not None:
            self._status.start()

    def line(self, text: str) -> None:
        """Show a line of output below the step, on a terminal."""
        if self._status is not None:
            from rich.text import Text

            plain = in_one_line(without_colours(text[:_LONGEST]).expandtabs().strip())
            self._status.update(Text(plain, overflow="ellipsis", no_wrap=True))


@contextmanager
def steps() -> Iterator[Steps]:
    """Show the steps of a long command on standard error."""
    terminal = _terminal()
    if terminal is None:
        yield Steps(None)
        return
    with terminal.status("") as status, _drawing(terminal):
        yield Steps(status)


def note_above(text: str) -> None:
    """Print a note, above what is drawn if something is; from any thread."""
    if _drawn_on:
        _drawn_on[-1].print(shown(text), markup=False, highlight=False, soft_wrap=True)
    else:
        console.Console().note(text)


@contextmanager
def _drawing(terminal: Console) -> Iterator[None]:
    """Note that something is drawn during the block."""
    _drawn_on.append(terminal)
    try:
        yield
    finally:
        _drawn_on.remove(terminal)


def _terminal() -> Console | None:
    """Return the terminal that standard error is, if it is one that can be drawn on."""
    if sys.stderr is None or not sys.stderr.isatty() or console.is_dumb():
        return None
    from rich.console import Console

    return Console(stderr=True)
