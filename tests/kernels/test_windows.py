"""A lab's kernel outlives the windows that show it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kernels.driving import ExtensionHost, KernelProject
from tool_helpers import wait_until

from ml_remote.far.login import kernels

pytestmark = pytest.mark.slow

NewHost = Callable[..., ExtensionHost]
LONG = """
import pathlib, time
for step in range(12):
    print("step", step, flush=True)
pathlib.Path({ready!r}).touch()
while not pathlib.Path({go!r}).exists():
    time.sleep(0.02)
for step in range(30):
    print("later", step)
result = "computed"
"""
# Takes no interrupt, and leaves a thread that never ends.
STUBBORN = """
import pathlib, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
pathlib.Path({ready!r}).touch()
while True:
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        pass
"""
# The kernel looks each second whether anybody needs it.
OFTEN = """
life = get_ipython().kernel.control_handlers["lab_attach_request"].__self__
life._look.__globals__["_PERIOD"] = 0
"""
# The kernel looks whether anybody needs it, and decides that nobody does.
UNUSED = """
life = get_ipython().kernel.control_handlers["lab_attach_request"].__self__
life._look_after.__globals__["why_it_ends"] = lambda *_, **__: "Nobody used this kernel."
life._look_after(life._about)
"""


def test_restart_is_told_from_reload(project: KernelProject, new_host: NewHost) -> None:
    lab = project.lab("restart")
    host, other = new_host(), new_host()
    host.open(lab)
    host.run("x = 'before'")
    before = project.kernel("restart")
    host.close()
    host.open(lab)  # *Restart*
    assert host.run("x").status == "error"
    assert project.kernel("restart").pid != before.pid
    host.run("x = 'after'")
    other.open(lab.with_suffix(".ipynb"))  # another window, and the notebook of the same lab
    assert "after" in other.run("x").text
    host.open(lab, name="second view")  # two views in one window are no *Restart*
    assert "after" in host.run("x", name="second view").text
    host.close()
    host.open(lab)  # *Restart* beside the second view
    assert host.run("x").status == "error"
    for window in (host.ended(name="second view"), other.ended()):
        assert window["code"] in (0, -signal.SIGKILL)
    assert kernels.is_alive(project.kernel("restart"))  # they took no other kernel's folder away
    assert not kernels.is_alive(before)


@pytest.mark.parametrize("ipykernel", ["newest", "without subshells"])
def test_long_cell_goes_on_without_a_window_and_beside_a_new_one(
    ipykernel: str, made: dict[str, KernelProject], new_host: NewHost, tmp_path: Path
) -> None:
    project = made[ipykernel]
    lab = project.lab("long")
    ready, go = tmp_path / "ready", tmp_path / "go"
    first, second, third = (new_host(project) for _ in range(3))
    first.open(lab)
    first.start(LONG.format(ready=str(ready), go=str(go)))
    wait_until(ready.exists)
    first.kill()
    # The window is ready though the cell runs; a cell of its own waits.
    second.open(lab)
    assert project.kernel("long").folder.joinpath("busy").exists()
    second.start("print(result)")
    waits = second.call("heard", "window", "stream")["text"]
    assert waits.startswith("The kernel is still running a cell of an earlier window.")
    go.touch()
    lines = second.end().text.splitlines()
    assert lines[0] == "Printed while no window was open (%kernel shows 20 more lines):"
    assert lines[1:11] == [f"later {step}" for step in range(20, 30)]
    assert lines[12].startswith("Connected to the kernel started at ")
    assert lines[12].endswith(" (2 variables). Restart gives a fresh one.")
    assert lines[13] == "computed"
    assert "Connected" not in second.run("1").text
    told = second.run("%kernel").text
    assert told.startswith("The kernel of labs/long started at ")
    assert "step 0\n" in told
    assert "later 0\n" in told
    # What has been shown once is not shown again.
    third.open(lab)
    assert third.run("1").text.startswith("Connected to the kernel started at ")


def test_interrupt_reaches_the_cell_and_what_it_has_started(
    project: KernelProject, new_host: NewHost, tmp_path: Path
) -> None:
    host = new_host()
    host.open(project.lab("interrupt"))
    ready, second = tmp_path / "ready", tmp_path / "second"
    code = f"os.system('touch {ready}; sleep 300'); open({str(second)!r}, 'w'); time.sleep(300)"
    host.start(f"import os, time; {code}")
    wait_until(ready.exists)
    host.call("interrupt", "window")
    wait_until(second.exists)  # Python takes no interrupt while os.system waits for its program
    host.call("interrupt", "window")
    assert "KeyboardInterrupt" in host.end().text
    assert host.run("1").status == "ok"


def test_input_is_asked_of_the_window_that_runs_the_cell(
    project: KernelProject, new_host: NewHost
) -> None:
    host, other = new_host(), new_host()
    host.open(project.lab("input"))
    other.open(project.lab("input"))
    code = "import getpass; print(input('name? '), getpass.getpass('word? '))"
    assert "name? word? Ada Ada" in host.run(code, answer="Ada").text
    assert "name? word? Bob Bob" in other.run(code, answer="Bob").text
    # Nobody can answer for a window that has gone, and the next one is not kept waiting.
    other.start("input()", asks=True)
    wait_until(project.kernel("input").folder.joinpath("busy").exists)
    other.kill()
    assert host.run("print('free')").text.endswith("free\n")


def test_two_clients_of_one_window_get_their_own_answers(
    project: KernelProject, new_host: NewHost, tmp_path: Path
) -> None:
    host, ready = new_host(), tmp_path / "ready"
    host.open(project.lab("clients"))
    host.call("add_client", "window")
    code = f"import pathlib; pathlib.Path({str(ready)!r}).touch(); print('one', input())"
    host.start(code, asks=True)
    wait_until(ready.exists)  # two connections have no order among them
    host.start("print('two', input())", client=1, asks=True)
    assert host.end(answer="first").text == "one first\n"
    assert host.end(client=1, answer="second").text == "two second\n"


def test_killed_kernel_is_reported_and_the_next_window_gets_a_fresh_one(
    project: KernelProject, new_host: NewHost
) -> None:
    lab = project.lab("killed")
    host = new_host()
    host.open(lab)
    host.start("import os, sys; print('why', file=sys.__stderr__); os.kill(os.getpid(), 9)")
    ended = host.ended()
    assert ended["code"] == -signal.SIGKILL
    host.open(lab)
    assert host.run("exit()").status == "ok"  # ends by itself
    assert host.ended()["code"] == 0
    assert kernels.find(str(project.project.path), "labs/killed") is None
    host.open(lab)
    reply = host.call("ask", "window", "shutdown_request", {"restart": True}, {})
    assert reply["status"] == "ok"
    assert host.ended()["code"] == 0
    assert kernels.find(str(project.project.path), "labs/killed") is None


def test_kernel_that_was_told_to_end_is_found_no_more_and_ends_in_any_case(
    project: KernelProject, new_host: NewHost, tmp_path: Path
) -> None:
    lab, ready = project.lab("stubborn"), tmp_path / "ready"
    host, other = new_host(), new_host()
    host.open(lab)
    host.start(STUBBORN.format(ready=str(ready)))
    wait_until(ready.exists)
    stubborn = project.kernel("stubborn")
    assert host.call("ask", "window", "shutdown_request", {"restart": True}, {})
    other.open(lab)
    assert "Connected" not in other.run("1").text
    fresh = project.kernel("stubborn")
    assert fresh.pid != stubborn.pid
    wait_until(lambda: not kernels.is_alive(stubborn))
    assert host.ended()["code"] == 0
    assert project.kernel("stubborn") == fresh
    # One that decides to end while a window has found it lives on.
    assert other.run(UNUSED).status == "ok"
    assert project.kernel("stubborn") == fresh
    assert other.run("1").status == "ok"


def stop_at_breakpoint(host: ExtensionHost, name: str) -> None:
    """Debug a cell, and make it wait in its second line."""

    def ask(command: str, **arguments: object) -> dict[str, Any]:
        request = {"type": "request", "seq": 1, "command": command, "arguments": arguments}
        reply = host.call("ask", name, "debug_request", request, {})
        body: dict[str, Any] = reply.get("body", {})
        return body

    code = "at = 1\nat = 2\n"
    ask("initialize", adapterID="1", pathFormat="path")
    ask("attach")
    source = {"path": ask("dumpCell", code=code)["sourcePath"]}
    ask("setBreakpoints", source=source, breakpoints=[{"line": 2}], sourceModified=False)
    ask("configurationDone")
    host.start(code, name=name)
    wait_until(lambda: bool(ask("debugInfo")["stoppedThreads"]))


def test_kernel_that_nobody_uses_ends(project: KernelProject, new_host: NewHost) -> None:
    host = new_host()
    for name in ("unused", "stopped"):
        host.open(project.lab(name), name=name)
        host.run(OFTEN, name=name)
    stop_at_breakpoint(host, "stopped")  # whose window is gone: nobody can let it continue
    unused = [project.kernel(name) for name in ("unused", "stopped")]
    signs = project.python.parents[1].resolve() / "lab-kernels"
    wait_until(lambda: len([path for path in signs.glob("*") if path.suffix == ""]) >= 2)
    own = project.project.path / "lab.local.toml"
    own.write_text("[sessions]\ncard_idle_hours = 0.0001\nidle_hours = 0.0003\n")
    try:
        assert host.run("import time; time.sleep(2.5)", name="unused").status == "ok"
        assert all(map(kernels.is_alive, unused))  # a window shows them
        host.kill()
        wait_until(lambda: not any(map(kernels.is_alive, unused)))
    finally:
        own.unlink()
    assert not any(kernel.folder.exists() for kernel in unused)
    pids = {json.loads(path.read_text())["pid"] for path in signs.glob("*")}
    assert pids.isdisjoint(kernel.pid for kernel in unused)


def test_kernel_without_a_lab_ends_with_its_window_in_any_case(
    project: KernelProject, new_host: NewHost, tmp_path: Path
) -> None:
    host, ready = new_host(), tmp_path / "ready"
    opened = host.open()
    host.start(
        f"import os, time; open({str(ready)!r}, 'w').write(str(os.getpid())); time.sleep(99)"
    )
    wait_until(lambda: ready.exists() and ready.read_text() != "")
    os.kill(opened["pid"], signal.SIGKILL)
    wait_until(lambda: not Path("/proc", ready.read_text()).exists())


def test_kernels_of_this_computer_are_listed_and_ended(
    project: KernelProject, new_host: NewHost
) -> None:
    def lab(*words: str) -> str:
        command = [sys.executable, "-m", "ml_remote", *words]
        return project.project.run(*command).stdout

    assert "  This project has no live kernel here.\n" in lab("status", "--local")
    assert "This project has no live kernel on this" in lab("stop", "--kernel", "--local")
    host = new_host()
    host.open(project.lab("local"))
    shown = lab("status", "--local").splitlines()
    assert shown[0] == "This computer"
    assert shown[1].startswith("  Kernel      labs/local  (for ")
    assert shown[1].endswith("shown in a window, idle)")
    (one,) = json.loads(lab("status", "--local", "--json"))["kernels"]
    assert (one["lab"], one["is_shown"]) == ("labs/local", True)
    ended = lab("stop", "--kernel", "local", "--local")
    assert "The kernel of labs/local was ended, with everything it had started." in ended
    assert not project.kernels()


def test_kernel_that_does_not_answer_leaves_no_window_without_one(
    project: KernelProject, new_host: NewHost
) -> None:
    lab = project.lab("hung")
    host, other = new_host(), new_host()
    host.open(lab)
    hung = project.kernel("hung")
    os.kill(hung.pid, signal.SIGSTOP)
    other.open(lab)
    said = other.run("print('works')").text.splitlines()
    assert said == [
        "This kernel ends with its window: the kernel of labs/hung does not answer. Restart "
        "replaces it with a fresh one.",
        "works",
    ]
    assert project.kernel("hung") == hung
    assert other.run("print('once')").text == "once\n"
    kernels.end(hung, patience=0)


def test_kernel_that_has_lost_its_folder_leaves_a_fresh_one_alone(
    project: KernelProject, new_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    # VS Code was started from a terminal of JupyterLab: that is no notebook of its own.
    monkeypatch.setenv("JPY_SESSION_NAME", "labs/fifty0.ipynb")
    lab = project.lab("lost")
    host, other = new_host(), new_host()
    host.open(lab)
    lost = project.kernel("lost")
    shutil.rmtree(lost.folder)  # by what tidies up in /tmp
    other.open(lab)
    fresh = project.kernel("lost")
    assert fresh.pid != lost.pid
    assert "This kernel's folder is gone" in host.run("%kernel").text
    host.close()
    wait_until(lambda: not kernels.is_alive(lost))
    assert project.kernel("lost") == fresh


def test_much_output_comes_whole_and_leaves_the_proxy_small(
    project: KernelProject, new_host: NewHost
) -> None:
    host = new_host()
    host.open(project.lab("output"))
    before = host.call("memory", "window")
    host.start("for _ in range(100): print('x' * 999_999)")
    cell = host.end()
    assert cell.size == 100_000_000
    assert host.call("memory", "window") - before < 40_000_000
    # Many small messages, too.
    counted = host.run("from IPython.display import display\nfor n in range(3000): display(n)")
    assert counted.text.endswith("2999")
    assert counted.kinds.count("display_data") == 1


def test_jupyterlab_and_vscode_find_one_kernel(project: KernelProject, new_host: NewHost) -> None:
    lab = project.lab("both")
    jupyter = {"JPY_SESSION_NAME": "labs/both.ipynb", "JPY_PARENT_PID": "1"}
    far_half = str(project.project.path / ".lab" / "far" / "current")
    command = [str(project.python), far_half, "lasting"]
    server, host = new_host(), new_host()
    server.open(variables=jupyter, command=command)
    server.run("x = 'from JupyterLab'")
    host.open(lab)
    assert "from JupyterLab" in host.run("x").text
    # A kernel that JupyterLab's server starts again is the same one, unless it was told to end.
    server.close()
    server.open(variables=jupyter, command=command)
    assert "from JupyterLab" in server.run("x").text
    assert server.call("ask", "window", "shutdown_request", {"restart": False}, {})
    assert server.ended()["code"] == host.ended()["code"] == 0
    # A console has no file by which a next one could find its kernel.
    server.open(variables=jupyter | {"JPY_SESSION_NAME": "console-1"}, command=command)
    assert server.run("1").status == "ok"
    assert all(kernel.lab != "console-1" for kernel in project.kernels())


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


def test_fifty_windows_leave_nothing_but_their_labs_kernels(
    project: KernelProject, new_host: NewHost
) -> None:
    """Variables are there in ten windows of ten, whoever was killed first."""
    project.end_kernels()
    wait_until(lambda: not project.processes())
    labs = [project.lab(f"fifty{number}") for number in range(5)]
    for number in range(10):
        host = new_host()
        opened = host.open_all(labs)
        code = f"assert seen == {number}; seen += 1" if number else f"seen = 1{OFTEN}"
        assert host.run(code, name=labs[0].stem).status == "ok"
        if number % 2:
            for lab in labs:
                host.call("leave", lab.stem)
        else:
            os.kill(opened[0], signal.SIGKILL)
        host.kill()
    wait_until(lambda: len(project.processes()) == len(labs))
    for kernel in project.kernels():
        assert not kernel.folder.with_suffix(".lock").exists()
        windows = kernel.folder / "windows"
        wait_until(functools.partial(is_empty, windows))
        assert len([path for path in kernel.folder.iterdir() if path.is_socket()]) == 6
    left = [kernel.folder for kernel in project.kernels()]
    assert len(left) == len(labs)
    project.end_kernels()
    wait_until(lambda: not project.processes())
    assert not any(folder.exists() for folder in left)
