"""What the `lab` command says to the person, and asks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import click

from .errors import UsageError

__all__ = [
    "ask",
    "colour",
    "confirm",
    "diff",
    "has_terminal",
    "is_dumb",
    "next_step",
    "note",
    "part_of_more",
    "say",
    "warn",
]

_part_of_more: ContextVar[bool] = ContextVar("part_of_more", default=False)


def say(text: str) -> None:
    """Say what was done."""
    click.echo(text, color=colour())


def next_step(command: str) -> None:
    """Say what to run next; always the last line of a command."""
    if not _part_of_more.get():
        say(click.style("Next: ", bold=True) + command)


@contextmanager
def part_of_more() -> Iterator[None]:
    """Leave out what next_step() would say: what comes next is done without being asked."""
    before = _part_of_more.set(True)
    try:
        yield
    finally:
        _part_of_more.reset(before)


def note(text: str) -> None:
    """Say something about the work in progress, on standard error: results stay alone on stdout."""
    click.echo(text, err=True, color=colour())


def warn(text: str) -> None:
    """Say what the person should know although the command goes on."""
    note(click.style("Warning: ", fg="yellow") + text)


def diff(text: str) -> None:
    """Show a unified diff, coloured on a terminal."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in text.splitlines():
        say(click.style(line, fg=colours.get(line[:1])))


def has_terminal() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def confirm(question: str, *, yes: bool, default: bool = True) -> bool:
    """Ask a yes/no question; `yes` answers it beforehand.

    Raises UsageError when nobody can be asked.
    """
    if yes:
        return True
    if not has_terminal():
        raise UsageError(
            f"{question} There is no terminal to answer in.",
            hint="To answer yes beforehand, add --yes; to only look, add --dry-run.",
        )
    return click.confirm(question, default=default, err=True)


def ask(question: str) -> str:
    """Ask for one line of text; only where has_terminal()."""
    answer: str = click.prompt(question, err=True)
    return answer.strip()


def colour() -> bool | None:
    """Return False when colours are unwanted, else None: click then looks for a terminal.

    Unwanted they are under NO_COLOR (https://no-color.org), and on a terminal that is `dumb`.
    """
    return False if os.environ.get("NO_COLOR") or is_dumb() else None


def is_dumb() -> bool:
    """Return whether the terminal can do no more than print one line after the other."""
    return os.environ.get("TERM") == "dumb"
