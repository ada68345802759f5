"""What a kernel printed recently, and which part no window has shown."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["OWN", "Record"]

OWN = {"lab_kernel": True}
"""The metadata of what the kernel says about itself; it is not recorded."""

_MOST = 1_000_000  # characters that are kept
_OVERHEAD = 100  # characters that a piece costs beside its text
_DELIMITER = b"<IDS|MSG>"


class _Piece(NamedTuple):
    text: str
    was_shown: bool


class Record:
    """Keeps the end of what cells print. `is_shown` tells if a session's window is there.

    Cells print in one thread, and it is read in another one.
    """

    def __init__(self, is_shown: Callable[[str], bool]) -> None:
        self._is_shown = is_shown
        self._pieces: deque[_Piece] = deque()
        self._size = 0
        self._lock = threading.Lock()

    def add(self, frames: Sequence[Any]) -> None:
        """Record a message that is sent to the subscribers."""
        parts = [bytes(frame) for frame in frames]
        if _DELIMITER not in parts:
            return
        header, parent, metadata, content = parts[parts.index(_DELIMITER) + 2 :][:4]
        text = _text(json.loads(header).get("msg_type", ""), content)
        if not text or b"lab_kernel" in metadata:
            return
        session = str(json.loads(parent).get("session", ""))
        piece = _Piece(text[-_MOST:], self._is_shown(session))
        with self._lock:
            self._pieces.append(piece)
            self._size += len(piece.text) + _OVERHEAD
            while self._size > _MOST and len(self._pieces) > 1:
                self._size -= len(self._pieces.popleft().text) + _OVERHEAD

    def lines(self, *, unseen: bool = False) -> list[str]:
        """Return the lines, or only those that no window has shown."""
        with self._lock:
            pieces = list(self._pieces)
        text = "".join(piece.text for piece in pieces if not (unseen and piece.was_shown))
        if not text:
            return []
        # Of what a progress bar has overwritten, the last is left.
        return [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip("\n").split("\n")]

    def count_as_seen(self) -> None:
        """Mark everything printed so far as shown."""
        with self._lock:
            seen = [piece._replace(was_shown=True) for piece in self._pieces]
            self._pieces = deque(seen)


def _text(kind: str, content: bytes) -> str:
    """Return what a message shows as text."""
    if kind not in ("stream", "error", "execute_result", "display_data"):
        return ""
    values = json.loads(content)
    if kind == "stream":
        return str(values["text"])
    if kind == "error":
        return f"{values['ename']}: {values['evalue']}\n"
    return f"{values['data'].get('text/plain', '')}\n"
