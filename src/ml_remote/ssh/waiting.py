"""Telling what a command waits for, when the machine, or its Slurm, does not answer for seconds."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LabError
from ..ui.display import note_above

if TYPE_CHECKING:
    from .client import Client

__all__ = ["LISTENS", "tell_no_names", "told_of_waiting", "without_marks"]

LISTENS = "lab_listens=yes\n"
"""What comes before a script that is to mark when it asks Slurm, see far/login/slurm.sh."""

_SLOW = 4.0  # seconds; logging in takes up to three on a busy machine
_LOOK_EVERY = 0.5  # seconds between two looks at what a script asks Slurm
_ASKS, _ANSWERED = "== lab asks Slurm ==", "== Slurm has answered =="
_MARK = re.compile(rf"(?m)^(?:{_ASKS}|{_ANSWERED})\n?")
_tells_names = True
_told: set[tuple[Path, str, str]] = set()


@contextmanager
def told_of_waiting(
    client: Client, *, answered: Callable[[], bool], errors: Callable[[], str] = str
) -> Iterator[None]:
    """Say what is waited for, once for each machine, if its answer takes more than a few seconds.

    `answered` tells if anything has come from the machine; `errors` is standard error so far.
    """
    over = threading.Event()
    if "_LAB_COMPLETE" not in os.environ:  # a shell that completes shows nothing else
        threading.Thread(target=_watch, args=(client, answered, errors, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def tell_no_names() -> None:
    """Name no machine from now on: somebody may copy what is on the screen."""
    global _tells_names
    _tells_names = False


def without_marks(errors: str) -> str:
    """Return standard error of a script without the marks that it has put there."""
    return _MARK.sub("", errors)


def _watch(
    client: Client,
    answered: Callable[[], bool],
    errors: Callable[[], str],
    over: threading.Event,
) -> None:
    with suppress(Exception):  # it is only a note, and what is looked at may be gone
        if not over.wait(_SLOW) and not answered():
            text = f"Waiting for an answer from {_name(client)} ..."
            _say_once(client, "the machine", text, over)
        asked = 0  # looks in which Slurm was asked, and had not answered
        while not over.wait(_LOOK_EVERY):
            said = errors()
            asked = asked + 1 if said.count(_ASKS) > said.count(_ANSWERED) else 0
            if asked * _LOOK_EVERY >= _SLOW:
                where = f" on {client.alias}" if _tells_names else ""
                _say_once(client, "Slurm", f"Waiting for Slurm{where} ...", over)
                return


def _say_once(client: Client, what: str, text: str, over: threading.Event) -> None:
    key = (client.directory, client.alias, what)
    if key not in _told and not over.is_set():
        _told.add(key)
        note_above(text)


def _name(client: Client) -> str:
    """Return the alias and, where ssh itself connects to it, the address."""
    if not _tells_names:
        return "the machine"
    try:
        resolved = client.resolve()
    except LabError:
        return client.alias
    host, port = resolved["hostname"][0], resolved["port"][0]
    jump = resolved.get("proxyjump", ["none"])[0]
    if "proxycommand" in resolved and jump == "none":
        return client.alias
    through = "" if jump == "none" else f", through {jump}"
    return f"{client.alias} ({f'[{host}]' if ':' in host else host}:{port}{through})"
