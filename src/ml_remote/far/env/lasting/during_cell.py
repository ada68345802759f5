"""Answering the editor in a window while another window's cell is running.

It shows as ready: the start-up code and the editor's own questions run beside the cell, in a
subshell. ipykernel 6 has none. There the editor is told that its code has run, and it runs later.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from .editor_sockets import EditorSockets
from .kernel_sockets import KernelSockets
from .messages import Message

__all__ = ["DuringCell", "is_cell"]

_COMM = ("comm_open", "comm_msg", "comm_close")  # widgets belong to the cells' own thread
_PATIENCE = 10.0  # seconds for the kernel to make a subshell
_WAITS = "The kernel is still running a cell of an earlier window. This cell will run after it.\n"


class DuringCell:
    """Requests of a window while a cell runs."""

    def __init__(self, editor: EditorSockets) -> None:
        self._editor = editor
        self._kernel_sockets: KernelSockets | None = None
        self._busy_with = ""
        self._subshell = ""
        self._info: dict[str, Any] = {}
        self._later: list[Message] = []

    def begin(self, sockets: KernelSockets, busy_with: str, *, has_subshells: bool) -> None:
        """Answer further requests while the cell of this request runs."""
        self._kernel_sockets, self._busy_with = sockets, busy_with
        if has_subshells:
            made = sockets.ask("create_subshell_request", {}, seconds=_PATIENCE)
            self._subshell = str(made.get("subshell_id", ""))

    def remember(self, reply: Message) -> None:
        """Store what a kernel reports about itself."""
        if not self._info and reply.header.get("msg_type") == "kernel_info_reply":
            self._info = reply.content

    def now(self, request: Message) -> Message | None:
        """Return the request as the kernel is to have it; None if it has been answered."""
        if not self._busy_with:
            return request
        if is_cell(request):
            self._editor.publish(
                request.answer("stream", {"name": "stderr", "text": _WAITS}, topic=b"stream")
            )
            return request
        if request.header.get("msg_type") in _COMM:
            return request
        if self._subshell:
            return request.with_header(subshell_id=self._subshell)
        return self._answered(request)

    def after(self, output: Message) -> Iterator[Message]:
        """Yield the requests that waited, if this output says that the cell has ended."""
        if not self._busy_with or output.parent.get("msg_id") != self._busy_with:
            return
        if output.content.get("execution_state") == "idle":
            if self._subshell and self._kernel_sockets is not None:
                self._kernel_sockets.tell(
                    "delete_subshell_request", {"subshell_id": self._subshell}
                )
            self._subshell = self._busy_with = ""
            yield from self._later
            self._later.clear()

    def _answered(self, request: Message) -> Message | None:
        kind = request.header.get("msg_type")
        if kind == "kernel_info_request" and self._info:
            self._reply(request, "kernel_info_reply", self._info)
        elif kind == "execute_request":
            said = {"status": "ok", "execution_count": 0, "payload": [], "user_expressions": {}}
            self._reply(request, "execute_reply", said)
            # Under another id: the editor has had the answer.
            self._later.append(request.with_header(msg_id=uuid.uuid4().hex))
        else:
            return request
        return None

    def _reply(self, request: Message, kind: str, content: dict[str, Any]) -> None:
        for state in ("busy", "idle"):
            self._editor.publish(
                request.answer("status", {"execution_state": state}, topic=b"status")
            )
        self._editor.send("shell", request.answer(kind, content))


def is_cell(request: Message) -> bool:
    """Return whether this is a cell that the person runs."""
    if request.header.get("msg_type") != "execute_request":
        return False
    content = request.content
    return not content.get("silent") and bool(content.get("store_history", True))
