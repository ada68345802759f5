"""Condensing what a long command prints to the steps that it goes through.

A line such as `[3/12] The data` begins a step: scripts/setup-environment.sh and headless runs of
labs print them. On a terminal the last line shows how long the step has taken and what was printed
last; elsewhere there is one line for each step.
"""

from __future__ import annotations

import re
import sys
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import click

from . import console

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Progress", "Step"]

_STEP = re.compile(r"\[(\d+)/(\d+)\] ?(.*)")
_MOST_LINES = 500


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step, as its first line announced it."""

    number: int
    total: int
    title: str

    def __str__(self) -> str:
        return f"[{self.number}/{self.total}] {self.title}"


class Progress:
    """Shows the steps of one command; a context manager. `on_line` takes what it prints.

    With `verbose`, every line is shown as it comes.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self.step: Step | None = None
        """The step that has begun last."""
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._verbose = verbose
        self._display: _Display | None = None

    @property
    def lines(self) -> list[str]:
        """What was printed in this step, its last 500 lines: where it fails, this says why."""
        return list(self._lines)

    def on_line(self, line: str) -> None:
        """Take one line of the command's output."""
        found = _STEP.fullmatch(line)
        if found:
            self.step = Step(number=int(found[1]), total=int(found[2]), title=found[3])
            self._lines.clear()
        else:
            self._lines.append(line)
        if found or self._verbose:
            self._show(line)
        if self._display is not None:
            self._display.update("" if found else line)

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and not self._verbose:
            self._display = _Display()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._display is not None:
            self._display.close()
            self._display = None

    def _show(self, line: str) -> None:
        if self._display is None:
            console.note(line)
        else:
            self._display.begin(line)


class _Display:
    """The last line on a terminal: what goes on, for how long, and what was printed last."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._latest = ""
        self._began = time.monotonic()
        self._live = Live(
            get_renderable=self._render, console=self._console, transient=True, auto_refresh=True
        )
        self._live.start()

    def begin(self, line: str) -> None:
        """Begin a step."""
        self._began = time.monotonic()
        self._console.print(line, markup=False, highlight=False)

    def update(self, latest: str) -> None:
        """Show what was printed last."""
        self._latest = click.unstyle(latest).expandtabs().strip()

    def close(self) -> None:
        """Take the last line away."""
        self._live.stop()

    def _render(self) -> Text:
        from rich.text import Text

        seconds = int(time.monotonic() - self._began)
        text = Text(f"  {seconds // 60}:{seconds % 60:02d} ", style="cyan", no_wrap=True)
        text.append(self._latest, style="dim")
        text.truncate(self._console.width - 1, overflow="ellipsis")
        return text
