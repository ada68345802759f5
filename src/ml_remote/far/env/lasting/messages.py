"""Jupyter's messages as they travel: a route, a signature, and what it signs.

https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

__all__ = ["Message", "request"]

_DELIMITER = b"<IDS|MSG>"
_SIGNED = 4
_HEADER, _PARENT, _CONTENT = 0, 1, 3


class Message(NamedTuple):
    """A message without its signature."""

    route: tuple[bytes, ...]
    """Whom it is from or for, or its topic."""
    parts: tuple[bytes, ...]
    """Header, parent header, metadata and content, each of them JSON; then buffers."""

    @classmethod
    def read(cls, frames: Sequence[bytes], key: bytes) -> Message | None:
        """Return the message in these frames; None if it is none, or not signed with this key."""
        if _DELIMITER not in frames:
            return None
        at = list(frames).index(_DELIMITER)
        message = cls(tuple(frames[:at]), tuple(frames[at + 2 :]))
        if len(message.parts) < _SIGNED:
            return None
        if not hmac.compare_digest(bytes(frames[at + 1]), message._signature(key)):
            return None
        return message

    def frames(self, key: bytes) -> list[bytes]:
        """Return the frames to send, signed with this key."""
        return [*self.route, _DELIMITER, self._signature(key), *self.parts]

    @property
    def header(self) -> dict[str, Any]:
        """The header; empty if it is no object of JSON."""
        return _object(self.parts[_HEADER])

    @property
    def parent(self) -> dict[str, Any]:
        """The header of the message that this one answers."""
        return _object(self.parts[_PARENT])

    @property
    def content(self) -> dict[str, Any]:
        """The content."""
        return _object(self.parts[_CONTENT])

    def with_header(self, **values: str) -> Message:
        """Return this message with other values in its header."""
        header = json.dumps({**self.header, **values}).encode()
        return self._replace(parts=(header, *self.parts[1:]))

    def answer(self, kind: str, content: dict[str, Any], *, topic: bytes | None = None) -> Message:
        """Return a message that answers this one, on its route or on a topic."""
        route = self.route if topic is None else (topic,)
        header = json.dumps(_header(kind, session=str(self.header.get("session", ""))))
        parts = (header.encode(), self.parts[_HEADER], b"{}", json.dumps(content).encode())
        return Message(route, parts)

    def _signature(self, key: bytes) -> bytes:
        if not key:
            return b""
        digest = hmac.new(key, digestmod=hashlib.sha256)
        for part in self.parts[:_SIGNED]:
            digest.update(part)
        return digest.hexdigest().encode()


def request(kind: str, content: dict[str, Any]) -> Message:
    """Return a request of the proxy's own."""
    header = json.dumps(_header(kind, session="lab"))
    return Message((), (header.encode(), b"{}", b"{}", json.dumps(content).encode()))


def _header(kind: str, *, session: str) -> dict[str, str]:
    return {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "session": session,
        "username": "lab",
        "version": "5.3",
        "date": datetime.now(UTC).isoformat(),
    }


def _object(part: bytes) -> dict[str, Any]:
    try:
        value = json.loads(part)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
