"""Opening a session in the browser without showing its token to anybody.

A page on this computer's disk, readable for the person only, posts the token to the session. So it
is in no address, which other users see in the list of processes and the browser keeps in its
history.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..files import Change, apply_changes, read_bytes
from ..state import make_state

__all__ = ["login_page"]

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
    apply_changes([Change(path=path, before=None, after=content.encode())])
    try:
        yield path
    finally:
        if read_bytes(path) == content.encode():  # not that of another command
            path.unlink(missing_ok=True)
