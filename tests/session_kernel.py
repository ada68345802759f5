"""Running code in a kernel of a remote JupyterLab, through the tunnel, as the page does."""

from __future__ import annotations

import html
import json
import re
import urllib.request
import uuid
from contextlib import closing
from pathlib import Path

import websocket

__all__ = ["Kernel"]


class Kernel:
    """A kernel behind one end of a tunnel, reached with the token from the page that logs in."""

    def __init__(self, page: Path) -> None:
        text = html.unescape(page.read_text())
        address = re.search(r"//(127\.0\.0\.1:\d+)/login", text)
        token = re.search(r'name="token" value="(\w+)"', text)
        assert address is not None
        assert token is not None
        self.address = address[1]
        self._headers = {"Authorization": f"token {token[1]}"}
        self._id = self._post("/api/kernels")["id"]

    def run(self, code: str, *, until: str = "") -> str:
        """Run code and return what it printed; wait for the text `until`, which may come late."""
        url = f"ws://{self.address}/api/kernels/{self._id}/channels"
        with closing(websocket.create_connection(url, header=self._headers, timeout=60)) as channel:
            asked = uuid.uuid4().hex
            header = {"msg_id": asked, "msg_type": "execute_request", "version": "5.3"}
            header |= {"username": "", "session": uuid.uuid4().hex, "date": "2000-01-01T00:00:00Z"}
            content = {"code": code, "silent": False}
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
            channel.send(json.dumps({**message, "channel": "shell", "buffers": []}))
            printed, idle = "", False
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

    def _post(self, path: str) -> dict[str, str]:
        request = urllib.request.Request(
            f"http://{self.address}{path}", data=b"{}", headers=self._headers
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content: dict[str, str] = json.load(answer)
        return content
