"""An extension host, as far as kernels are concerned: what VS Code's Jupyter extension does.

Read in vscode-jupyter (kernelProcess.node.ts, rawKernelConnection.node.ts, kernel.ts): five TCP
ports, `python -m ipykernel_launcher --f=FILE`, kernel_info until output and a reply were heard, the
check for widgets, the start-up code. Restart and a closed window are SIGTERM for the children and
the process; an interrupt is SIGINT for the same.

The environment's own Python runs it. Each line on standard input is a list of JSON: the name of a
method of Host, its arguments, and an object with the others. The answer is a line of JSON.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import psutil
from jupyter_client import BlockingKernelClient
from jupyter_client.blocking.client import ZMQSocketChannel
from jupyter_client.connect import write_connection_file

WIDGETS = "try:\n    import ipywidgets\nexcept: pass"
STARTUP = """__vsc_ipynb_file__ = "{}"
try:
    import matplotlib as _vscode_matplotlib
except: pass"""
PORTS: set[int] = set()
PATIENCE = 120  # seconds: the machine may be busy


class Window:
    """What a window has of its kernel: a process, and clients."""

    def __init__(self, command: list[str], folder: Path, variables: dict[str, str]) -> None:
        is_of_jupyter = "JPY_SESSION_NAME" in variables
        self.file = str(folder / f"kernel-v3{uuid.uuid4().hex}.json")
        place = {"transport": "ipc", "ip": str(folder / uuid.uuid4().hex[:8])}
        ports: set[int] = set()
        while not ports or ports & PORTS:  # those of windows that open now are not bound yet
            _, info = write_connection_file(
                self.file, key=uuid.uuid4().hex.encode(), **(place if is_of_jupyter else {})
            )
            ports = {info[name] for name in info if name.endswith("_port")}
        if not is_of_jupyter:
            PORTS.update(ports)
        self.errors = Path(f"{self.file}.errors")
        self.process = subprocess.Popen(
            [*command, "-f", self.file] if is_of_jupyter else [*command, f"--f={self.file}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.errors.open("w"),
            env={**os.environ, **variables},
            start_new_session=is_of_jupyter,
        )
        self.clients = [self.connect()]
        self.cells: dict[str, tuple[int, str]] = {}

    def connect(self) -> BlockingKernelClient:
        """Return a new client."""
        client = BlockingKernelClient(connection_file=self.file)
        client.load_connection_file()
        client.start_channels(hb=False)
        return client

    def wait_until_ready(self, client: BlockingKernelClient) -> None:
        """Ask until a reply and some output have come."""
        deadline = time.monotonic() + PATIENCE
        replied = heard = False
        while not (replied and heard):
            assert time.monotonic() < deadline, "the kernel does not answer"
            assert self.process.poll() is None, f"it has ended: {self.errors.read_text()}"
            client.kernel_info()
            client.control_channel.send(client.session.msg("kernel_info_request"))
            until = time.monotonic() + 0.5
            while time.monotonic() < until and not (replied and heard):
                for channel in (client.shell_channel, client.control_channel):
                    replied = replied or take(channel) is not None
                heard = heard or take(client.iopub_channel) is not None


class Outputs:
    """What comes of a cell, as it comes."""

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self.texts: list[str] = []
        self.kinds: list[str] = []
        self.size = 0
        self.is_idle = False

    def add(self, message: dict[str, Any]) -> None:
        """Take a message of output, which may be another cell's."""
        if message["parent_header"].get("msg_id") != self._asked:
            return
        content, data = message["content"], message["content"].get("data", {})
        self.kinds += [message["msg_type"], *data]
        self.size += len(content.get("text", ""))
        self.texts.append(content.get("text", "")[-10000:])
        self.texts.append(str(data.get("text/plain", "")) + content.get("ename", ""))
        self.is_idle = self.is_idle or content.get("execution_state") == "idle"


def take(channel: ZMQSocketChannel, seconds: float = 0.02) -> dict[str, Any] | None:
    """Return the next message, if one comes in time."""
    try:
        message: dict[str, Any] = channel.get_msg(timeout=seconds)
    except queue.Empty:
        return None
    return message


class Host:
    """The methods that can be called."""

    def __init__(self) -> None:
        self.windows: dict[str, Window] = {}

    def open(
        self,
        name: str,
        command: list[str],
        folder: str,
        *,
        lab: str = "",
        variables: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Open a window, and wait until its kernel is ready."""
        began = time.monotonic()
        self.begin(name, command, folder, variables=variables)
        return {**self.wait(name, lab=lab), "seconds": time.monotonic() - began}

    def begin(
        self,
        name: str,
        command: list[str],
        folder: str,
        *,
        variables: dict[str, str] | None = None,
    ) -> None:
        """Start what a window starts."""
        self.windows[name] = Window(command, Path(folder), variables or {})

    def wait(self, name: str, *, lab: str = "") -> dict[str, Any]:
        """Run what VS Code runs before a person's first cell; return the process id."""
        window = self.windows[name]
        window.wait_until_ready(window.clients[0])
        self.run(name, WIDGETS, history=False)
        if lab:
            self.run(name, STARTUP.format(lab), history=False)
        return {"pid": window.process.pid}

    def add_client(self, name: str) -> None:
        """Connect one more client to the same ports."""
        window = self.windows[name]
        window.clients.append(window.connect())
        window.wait_until_ready(window.clients[-1])

    def start(
        self, name: str, code: str, *, history: bool = True, client: int = 0, asks: bool = False
    ) -> None:
        """Run a cell."""
        window = self.windows[name]
        asked = window.clients[client].execute(code, store_history=history, allow_stdin=asks)
        window.cells[str(client)] = client, asked

    def end(
        self, name: str, *, client: int = 0, answer: str | None = None, seconds: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until a cell is over; answer what it asks for."""
        window = self.windows[name]
        number, asked = window.cells.pop(str(client))
        channels, outputs = window.clients[number], Outputs(asked)
        deadline, reply = time.monotonic() + seconds, None
        while reply is None or not outputs.is_idle:
            assert time.monotonic() < deadline, f"the cell is not over: {outputs.texts[-5:]}"
            assert window.process.poll() is None, "the kernel has ended"
            while message := take(channels.iopub_channel):
                outputs.add(message)
            found = take(channels.shell_channel, 0)
            if found and found["parent_header"].get("msg_id") == asked:
                reply = found["content"]
            question = take(channels.stdin_channel, 0)
            if question and answer is not None:
                outputs.texts.append(question["content"]["prompt"])
                channels.input(answer)
        text = "".join(outputs.texts)
        kinds = sorted(set(outputs.kinds))
        return {"text": text, "kinds": kinds, "size": outputs.size, "status": reply["status"]}

    def run(
        self,
        name: str,
        code: str,
        *,
        history: bool = True,
        client: int = 0,
        answer: str | None = None,
    ) -> dict[str, Any]:
        """Run a cell and wait until it is over."""
        self.start(name, code, history=history, client=client, asks=answer is not None)
        return self.end(name, client=client, answer=answer)

    def ask(
        self, name: str, kind: str, content: dict[str, Any], *, channel: str = "control"
    ) -> dict[str, Any] | None:
        """Send a request and return the content of its reply."""
        client = self.windows[name].clients[0]
        asked = client.session.msg(kind, content)
        socket = getattr(client, f"{channel}_channel")
        socket.send(asked)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            reply = take(socket)
            if reply and reply["parent_header"].get("msg_id") == asked["header"]["msg_id"]:
                answer: dict[str, Any] = reply["content"]
                return answer
        return None

    def send(self, name: str, kind: str, content: dict[str, Any]) -> None:
        """Send a request on the shell channel that has no reply."""
        client = self.windows[name].clients[0]
        client.shell_channel.send(client.session.msg(kind, content))

    def heard(self, name: str, kind: str) -> dict[str, Any]:
        """Return the content of the next output of this kind."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            message = take(self.windows[name].clients[0].iopub_channel)
            if message and message["msg_type"] == kind:
                content: dict[str, Any] = message["content"]
                return content
        raise AssertionError(f"no {kind} came")

    def interrupt(self, name: str) -> None:
        """Do what VS Code's button does."""
        self._signal(name, signal.SIGINT)

    def leave(self, name: str) -> None:
        """End a window's kernel as the editor does, and do not wait for it."""
        self._signal(name, signal.SIGTERM)

    def ended(self, name: str) -> dict[str, Any]:
        """Wait until the process of a window has ended; return its exit code and last words."""
        window = self.windows.pop(name)
        code = window.process.wait(PATIENCE)
        for client in window.clients:
            client.stop_channels()
        Path(window.file).unlink(missing_ok=True)
        return {"code": code, "said": window.errors.read_text()}

    def memory(self, name: str) -> int:
        """Return the bytes that a window's process has."""
        size: int = psutil.Process(self.windows[name].process.pid).memory_info().rss
        return size

    def _signal(self, name: str, number: int) -> None:
        process = self.windows[name].process
        for child in psutil.Process(process.pid).children(recursive=True):
            child.send_signal(number)
        process.send_signal(number)


def main() -> None:
    """Run the command on each line of the input."""
    host = Host()
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        try:
            answer = {"value": getattr(host, method)(*arguments, **options)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
