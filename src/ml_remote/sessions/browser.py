"""Opening a session in the browser without showing its token to anybody.

A page on this computer's disk, readable for the person only, posts the token to the session. So it
is in no address, which other users see in the list of processes and the browser keeps in its
history.
"""

from __future__ import annotations

import html
import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import processes
from ..errors import ConfigurationError
from ..files import Change, commit, read_bytes
from ..state import make_state

__all__ = ["login_page", "show"]

# What only looks for a browser, and fails where there is none; and what would take the terminal.
_OPENERS = ("xdg-open", "gvfs-open", "gio", "x-www-browser", "sensible-browser", "wslview")
_IN_THE_TERMINAL = ("www-browser", "links", "elinks", "lynx", "w3m", "links2")
_SECONDS_TO_FIND = 2.0

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<form method="post" action="{action}">
<input type="hidden" name="token" value="{token}">
<input type="hidden" name="password" value="{token}">
<button>Open {title}</button>
</form>
<script>document.forms[0].submit()</script>
</html>
"""


@contextmanager
def login_page(path: Path, *, title: str, action: str, token: str) -> Iterator[Path]:
    """Write the page that logs in at the address `action`, and remove it after the block."""
    content = _PAGE.format(
        title=html.escape(title), action=html.escape(action), token=html.escape(token)
    )
    make_state(path.parent)
    path.unlink(missing_ok=True)  # whatever mode it had
    commit([Change(path=path, before=None, after=content.encode())])
    try:
        yield path
    finally:
        if read_bytes(path) == content.encode():  # not that of another command
            path.unlink(missing_ok=True)


def show(page: Path | str) -> bool:
    """Open a page, a file or an address; return if a browser opened where the person sits."""
    address = page if isinstance(page, str) else page.as_uri()
    if sys.platform in ("win32", "darwin"):
        if os.environ.get("SSH_CONNECTION"):  # a desktop that somebody else may sit at
            return False
    elif not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
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
