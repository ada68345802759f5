"""What a cell finds in a kernel that outlives its window: as in a plain one, and as in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from accounts import run_as_another_user
from kernels.driving import ExtensionHost, KernelProject
from needs import IS_ROOT
from session_watch import tcp_listeners

pytestmark = pytest.mark.slow

NewHost = Callable[..., ExtensionHost]
CONNECT = """
import socket, sys
for path in sys.argv[1:]:
    print(socket.socket(socket.AF_UNIX).connect_ex(path))
"""
FORK = """
import os
print("parent", flush=True)
if os.fork() == 0:
    print("forked", flush=True)
    os._exit(0)
os.wait()
"""
WIDGET = """
import ipywidgets
slider = ipywidgets.IntSlider()
display(slider)
"""
COMM = """
from ipykernel.comm import Comm
def opened(comm, message):
    comm.on_msg(lambda message: comm.send(message["content"]["data"]))
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""


@pytest.fixture(scope="module")
def shared(
    made: dict[str, KernelProject], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExtensionHost]:
    """Yield an extension host with a window that all cells here use."""
    project = made["newest"]
    secrets = project.project.path / ".lab" / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    (secrets / "LAB_TEST_SECRET").write_text("hidden words")
    host = ExtensionHost(project, tmp_path_factory.mktemp("shared"))
    hostile = {
        "PYTHONPATH": "/nowhere",
        "JPY_PARENT_PID": "1",
        "MPLBACKEND": "Agg",
        "VIRTUAL_ENV": "/x",
    }
    try:
        host.open(project.lab("inside"), variables=hostile)
        yield host
    finally:
        host.kill()


CELLS = {
    "a figure": ("import matplotlib.pyplot as plt; plt.plot([1]); plt.show()", "image/png"),
    "a widget": (WIDGET, "application/vnd.jupyter.widget-view+json"),
    "tqdm": ("from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass", "comm_msg"),
    "a shell command": ("!echo from the shell", "from the shell"),
    "a secret": ("import os; print(os.environ['LAB_TEST_SECRET'])", "hidden words"),
    "the environment first": ("import shutil; print(shutil.which('python'))", "/.lab/envs/uv-"),
    "no other Python": (
        "import os; print([os.environ.get(n) for n in ('PYTHONPATH', 'VIRTUAL_ENV')])",
        "[None, None]",
    ),
    "no parent": ("import os; print(os.getppid(), os.environ.get('JPY_PARENT_PID'))", "1 None"),
    "no far half": ("import importlib.util; print(importlib.util.find_spec('ml_remote'))", "None"),
    "the resolved path": ("import sys; print(sys.prefix)", "/.lab/envs/uv-"),
    "output of a fork": (FORK, "forked"),
    "the notebook's sign": ("print('IPKernelApp' in get_ipython().config)", "True"),
    "the project's folder": ("import os; print(os.getcwd())", "/newest"),
    "a package of the environment": ("import sys; print(sys.argv[0])", "ipykernel_launcher.py"),
}


def test_nothing_of_the_kernel_listens_and_no_other_user_reaches_it(
    project: KernelProject, shared: ExtensionHost
) -> None:
    kernel = project.kernel("inside")
    assert tcp_listeners({kernel.pid: ""}) == []
    sockets = [str(path) for path in kernel.folder.iterdir() if path.is_socket()]
    assert len(sockets) == 6
    modes = {name: (kernel.folder / name).stat().st_mode & 0o777 for name in (".", "..", "log")}
    assert modes == {".": 0o700, "..": 0o700, "log": 0o600}
    assert (kernel.folder / "kernel.json").stat().st_mode & 0o777 == 0o600
    if IS_ROOT:
        assert run_as_another_user(CONNECT, *sockets) == ["13"] * len(sockets)  # EACCES


@pytest.mark.parametrize(("code", "expected"), CELLS.values(), ids=CELLS)
def test_cell_finds(shared: ExtensionHost, code: str, expected: str) -> None:
    ran = shared.run(code)
    assert ran.status == "ok", ran.text
    assert expected in ran.kinds or expected in ran.text


def test_widgets_messages_reach_the_kernel_and_come_back(shared: ExtensionHost) -> None:
    shared.run(COMM)
    shared.call(
        "send", "window", "comm_open", {"comm_id": "1", "target_name": "echo", "data": {}}, {}
    )
    shared.call("send", "window", "comm_msg", {"comm_id": "1", "data": {"word": "echoed"}}, {})
    assert shared.call("heard", "window", "comm_msg")["data"] == {"word": "echoed"}


def test_debugger_answers_on_the_control_channel(shared: ExtensionHost) -> None:
    request = {"type": "request", "seq": 1, "command": "debugInfo"}
    reply = shared.call("ask", "window", "debug_request", request, {})
    assert reply["success"]
    initialize = {**request, "command": "initialize", "arguments": {"adapterID": "1"}}
    assert shared.call("ask", "window", "debug_request", initialize, {})["success"]
