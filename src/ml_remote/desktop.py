"""Opening a page or a link on the person's screen, if they sit at this computer."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from . import processes
from .errors import ConfigurationError

if TYPE_CHECKING:
    import webbrowser

__all__ = ["open_link"]

# What only looks for a browser, and fails where there is none; and what would take the terminal.
_OPENERS = ("xdg-open", "gvfs-open", "gio", "x-www-browser", "sensible-browser", "wslview")
_IN_THE_TERMINAL = ("www-browser", "links", "elinks", "lynx", "w3m", "links2")
_SECONDS_TO_FIND = 2.0


def open_link(page: Path | str) -> bool:
    """Open a page, a file or an address; return if a browser opened where the person sits."""
    address = page if isinstance(page, str) else page.as_uri()
    if sys.platform in ("win32", "darwin"):
        if os.environ.get("SSH_CONNECTION"):  # a desktop that somebody else may sit at
            return False
    elif not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    import webbrowser  # few commands open a page, and fewer get here

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    name = Path(getattr(browser, "name", "")).name
    if name in _IN_THE_TERMINAL:
        return False
    if name in _OPENERS:
        return _opens([browser.name, address])
    return _try(browser, address)


def _opens(command: list[str]) -> bool:
    """Start a program that looks for a browser itself; return whether it found one."""
    try:
        ended = processes.start(command, seconds=_SECONDS_TO_FIND)
    except ConfigurationError:
        return False
    return ended is None or ended.returncode == 0


def _try(browser: webbrowser.BaseBrowser, address: str) -> bool:
    """Open a page in a browser; one that stays until it is closed counts as opened."""
    result: list[bool] = []

    def work() -> None:
        result.append(browser.open(address))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_SECONDS_TO_FIND)
    return result != [False]
