"""Running a command line so that every error is shown as a sentence."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import LabError, UnsafeEditError
from .console import Console, colour
from .hiding import masked_command, without_hidden

if TYPE_CHECKING:
    from ..context import Context

__all__ = ["report", "report_unforeseen", "run_reporting"]

_LOG = "last-error.log"
_AGAIN = "then run the command again"
# What the system refuses, which is no fault of lab: the sentence, and what to do.
_REFUSED = {
    errno.ENOSPC: ("The disk of this computer is full", f"Free disk space, {_AGAIN}"),
    errno.EDQUOT: ("Your quota on this computer is used up", f"Free disk space, {_AGAIN}"),
    errno.EROFS: (
        "That file system on this computer is read-only",
        f"Make it writable, or move the project to another one, {_AGAIN}",
    ),
    errno.EACCES: (
        "You may not read or change that file on this computer",
        f"Check who owns it (ls -ld), fix that, {_AGAIN}",
    ),
    errno.EPERM: (
        "This computer does not allow that on that file",
        f"Check if it is locked or belongs to another user (ls -ld, lsattr), fix that, {_AGAIN}",
    ),
    errno.EISDIR: (
        "There is a folder where a file should be on this computer",
        f"Move it away, {_AGAIN}",
    ),
    errno.EEXIST: (
        "Something else is already in that place on this computer",
        f"Move it away, {_AGAIN}",
    ),
    errno.ENOTDIR: (
        "There is a file where a folder should be on this computer",
        f"Move it away, {_AGAIN}",
    ),
    errno.ELOOP: (
        "A link leads to itself on this computer",
        f"Remove it, {_AGAIN}",
    ),
    errno.EIO: (
        "The disk of this computer failed to read or write that",
        f"Check that it is mounted and healthy, {_AGAIN}",
    ),
    errno.EAGAIN: (
        "This computer cannot start another process for you",
        f"End some of your programs, or raise the limit (ulimit -u), {_AGAIN}",
    ),
    errno.ENOMEM: (
        "This computer has no memory left",
        f"End some of your programs, {_AGAIN}",
    ),
    errno.EMFILE: (
        "A program has reached this computer's limit of open files",
        f"Raise the limit (ulimit -n 1024), {_AGAIN}",
    ),
}


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
            import traceback

            context.console.note(without_hidden(traceback.format_exc()))
        with suppress(OSError):  # whoever read it has gone
            report(error, context.console)
        return error.exit_code
    except Exception as error:
        with suppress(OSError):
            report_unforeseen(error, context.console)
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def report(error: LabError, console: Console) -> None:
    """Print what went wrong and what to do, on standard error."""
    more = f"\n{error.instructions}" if isinstance(error, UnsafeEditError) else ""
    console.error(f"{error}{more}", hint=error.hint)


def report_unforeseen(error: Exception, console: Console) -> None:
    """Print an unexpected error; its traceback is kept in a file."""
    import traceback

    details = without_hidden("".join(traceback.format_exception(error)))
    if os.environ.get("LAB_DEBUG") == "1":
        console.note(details)
    if isinstance(error, OSError) and error.errno in _REFUSED:
        sentence, remedy = _REFUSED[error.errno]
        console.error(f"{sentence} ({_in_words(error)}).", hint=remedy)
        return
    kept = _keep(details)
    shown_in = "" if kept is None else f"The details are in {shlex.quote(str(kept))}: report them. "
    console.error(
        f"lab met an error that it did not expect: {_in_words(error)}",
        hint=f"{shown_in}To see them here: set LAB_DEBUG=1 and run the command again.",
    )


def _keep(details: str) -> Path | None:
    """Write the details of an error into a file that only this person can read; return its path.

    It replaces the one before. None where there is no place for it.
    """
    try:
        from platformdirs import user_state_path

        folder = user_state_path("ml-remote", appauthor=False)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / _LOG
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        command = masked_command(sys.argv)
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{command}\nPython {sys.version}\n{details}")
    except (ImportError, OSError, ValueError):
        return None
    return path


def _in_words(error: Exception) -> str:
    """Return an unforeseen error in one line, without values that nobody may read."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return without_hidden(f"{type(error).__name__}: {error}")
