"""Running a command line so that whatever goes wrong is told in sentences."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ..errors import LabError, UnsafeEditError
from .console import Console, colour

if TYPE_CHECKING:
    from ..context import Context

__all__ = ["report", "run_reporting"]


def run_reporting(
    command: click.Command,
    arguments: Sequence[str] | None,
    *,
    name: str,
    context: Context,
) -> int:
    """Run a command and return its exit code: 0, 1 (it failed) or 2 (wrong usage).

    `context` is what the command is given. Every error becomes a sentence; with LAB_DEBUG=1 its
    traceback comes before it.
    """
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show must not end the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    debugging = os.environ.get("LAB_DEBUG") == "1"
    try:
        command.main(args=arguments, prog_name=name, color=colour(), obj=context)
    except LabError as error:
        if debugging:
            context.console.note(traceback.format_exc())
        report(error, context.console)
        return error.exit_code
    except Exception as error:
        if debugging:
            context.console.note(traceback.format_exc())
        context.console.error(
            f"something happened that lab did not expect: {_in_words(error)}",
            hint="run it again with LAB_DEBUG=1 in the environment, and report what it prints.",
        )
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def report(error: LabError, console: Console) -> None:
    """Say what went wrong and what to do, on standard error."""
    more = f"\n{error.instructions}" if isinstance(error, UnsafeEditError) else ""
    console.error(f"{error}{more}", hint=error.hint)


def _in_words(error: Exception) -> str:
    """Return an unforeseen error in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"
