"""Running code in a kernel of a remote JupyterLab, through the tunnel, as the page does."""

from __future__ import annotations

import html
import json
import re
import urllib.request
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import websocket

__all__ = ["FORK", "Kernel"]

_LIMIT = 300.0  # seconds, after which something hangs

FORK = """
import os
child = os.fork()
if child == 0:
    print("from the fork", flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
"""What a forked process prints takes a way of its own to the page."""


class Kernel:
    """A kernel behind one end of a tunnel, reached with the token from the page that logs in.

    With `lab`, the path of a notebook or a script, it is the kernel that a page with it has.
    """

    def __init__(self, page: Path, *, lab: str = "") -> None:
        text = html.unescape(page.read_text())
        address = re.search(r"//(127\.0\.0\.1:\d+)/login", text)
        token = re.search(r'name="token" value="(\w+)"', text)
        assert address is not None
        assert token is not None
        self.address = address[1]
        self._headers = {"Authorization": f"token {token[1]}"}
        self._session = ""
        if lab:
            wanted = {"path": lab, "name": lab.rpartition("/")[2], "type": "notebook"}
            kernel = {"kernel": {"name": "python3"}}
            session = self._ask("POST", "/api/sessions", wanted | kernel)
            self._session, self._id = session["id"], session["kernel"]["id"]
        else:
            self._id = self._ask("POST", "/api/kernels")["id"]

    def begin(self, code: str, *, until: str) -> str:
        """Run code that takes long, and return what it printed up to the text `until`."""
        return self.run(code, until=until, to_its_end=False)

    def run(self, code: str, *, until: str = "", to_its_end: bool = True) -> str:
        """Run code and return what it printed; wait for the text `until`, which may come late."""
        url = f"ws://{self.address}/api/kernels/{self._id}/channels"
        with closing(
            websocket.create_connection(url, header=self._headers, timeout=_LIMIT)
        ) as channel:
            asked = uuid.uuid4().hex
            header = {"msg_id": asked, "msg_type": "execute_request", "version": "5.3"}
            header |= {"username": "", "session": uuid.uuid4().hex, "date": "2000-01-01T00:00:00Z"}
            content = {"code": code, "silent": False}
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
            channel.send(json.dumps({**message, "channel": "shell", "buffers": []}))
            printed, idle = "", not to_its_end
            while not (idle and until in printed):
                answer = json.loads(channel.recv())
                if answer["parent_header"].get("msg_id") != asked:
                    continue
                if answer["msg_type"] == "stream":
                    printed += answer["content"]["text"]
                elif answer["msg_type"] == "error":
                    raise AssertionError(answer["content"]["traceback"])
                elif answer["content"].get("execution_state") == "idle":
                    idle = True
            return printed

    def restart(self) -> None:
        """Choose *Restart Kernel* in the menu."""
        self._ask("POST", f"/api/kernels/{self._id}/restart")

    def shut_down(self) -> None:
        """Choose *Shut Down Kernel* in the menu."""
        self._ask("DELETE", f"/api/sessions/{self._session}")

    def _ask(self, method: str, path: str, content: object = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            data=json.dumps(content or {}).encode() if method == "POST" else None,
            headers=self._headers,
            method=method,
        )
        with urllib.request.urlopen(request, timeout=_LIMIT) as answer:
            said: dict[str, Any] = json.loads(answer.read() or "{}")
        return said
