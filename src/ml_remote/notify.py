"""Notifying a person that something has ended: on the desktop, or by their own program."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from .errors import LabError
from .processes import start
from .ui.console import Console

__all__ = ["notifier", "notify"]

_TITLE = "lab"
_SECONDS = 5.0


def notifier(command: Sequence[str]) -> tuple[str, ...]:
    """Return the command that is given a sentence to show; nothing means the terminal's bell.

    `command` is the person's own, from `lab.local.toml`.
    """
    if command:
        return tuple(command)
    if sys.platform == "darwin" and shutil.which("osascript"):
        script = f'display notification (item 1 of argv) with title "{_TITLE}"'
        return ("osascript", "-e", "on run argv", "-e", script, "-e", "end run")
    has_desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_desktop and shutil.which("notify-send"):
        return ("notify-send", "--app-name", _TITLE, "--", _TITLE)
    return ()


def notify(command: Sequence[str], console: Console, sentence: str) -> None:
    """Show a sentence; whatever fails is a warning, since the work is done."""
    if not command:
        console.ring()
        return
    try:
        done = start([*command, sentence], seconds=_SECONDS)
    except LabError as error:
        console.warn(f"The notification failed: {error.message}")
        return
    if done is not None and done.returncode != 0:
        console.warn(f"The notification failed: {command[0]} ended with {done.returncode}.")
