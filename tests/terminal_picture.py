"""A picture of what is on a terminal, drawn from what a program has written to it."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path

import pyte
from pyte.screens import Char
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

__all__ = ["draw_terminal"]

COLUMNS, LINES = 100, 60
# Without the addresses that rich would have a reader's browser load its font from.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def draw_terminal(written: str, path: Path, *, title: str) -> None:
    """Draw as SVG what is on a terminal of COLUMNS columns at the end of `written`."""
    screen = pyte.Screen(COLUMNS, LINES)
    pyte.Stream(screen).feed(written)
    used = len("\n".join(screen.display).rstrip().splitlines())
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), legacy_windows=False)
    for row in range(used):
        line = [screen.buffer[row][column] for column in range(COLUMNS)]
        parts = [
            ("".join(char.data for char in characters), style)
            for style, characters in itertools.groupby(line, _style)
        ]
        text = Text.assemble(*parts)
        text.rstrip()
        console.print(text, overflow="crop", no_wrap=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(path), title=title, code_format=_FORMAT, unique_id=path.stem)


def _style(char: Char) -> str:
    """Return the style of one character in rich's words."""
    colour = re.sub("^bright", "bright_", char.fg.replace("brown", "yellow"))
    if re.fullmatch("[0-9a-f]{6}", colour):
        colour = f"#{colour}"
    return f"{'bold ' if char.bold else ''}{colour}"
