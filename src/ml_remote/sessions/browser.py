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

from ..files import Change, commit, read_bytes

__all__ = ["login_page", "show"]

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
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)  # whatever mode it had
    commit([Change(path=path, before=None, after=content.encode())])
    try:
        yield path
    finally:
        if read_bytes(path) == content.encode():  # not that of another command
            path.unlink(missing_ok=True)


def show(page: Path | str) -> bool:
    """Open a page, a file or an address, in the person's browser.

    Return whether there is a desktop to open it on.
    """
    desktop = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if not desktop:
        return False
    address = page if isinstance(page, str) else page.as_uri()
    # Some browsers are waited for until they are closed.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    return True
