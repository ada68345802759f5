"""What the `lab` command says to the person, and asks."""

from __future__ import annotations

import os
import sys

import click

from .errors import UsageError

__all__ = ["ask", "confirm", "diff", "has_terminal", "next_step", "note", "say", "warn"]


def say(text: str) -> None:
    """Say what was done."""
    click.echo(text, color=_colour())


def next_step(command: str) -> None:
    """Say what to run next; always the last line of a command."""
    say(click.style("Next: ", bold=True) + command)


def note(text: str) -> None:
    """Say something about the work in progress, on standard error: results stay alone on stdout."""
    click.echo(text, err=True, color=_colour())


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


def _colour() -> bool | None:
    """Return False when colours are unwanted (https://no-color.org), else let click decide."""
    return False if os.environ.get("NO_COLOR") else None
