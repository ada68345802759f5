"""What needs no kernel: messages, the lab that a file is, and what was printed lately."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ml_remote.far.env.lasting import hook
from ml_remote.far.env.lasting.choosing import (
    enter,
    file_named,
    is_restart,
    lab_of,
    settle,
    withdraw,
)
from ml_remote.far.env.lasting.kernel_info import connected
from ml_remote.far.env.lasting.messages import Message, request
from ml_remote.far.env.lasting.output import OWN, Record
from ml_remote.far.env.lasting.starting import in_words, kernel_variables
from ml_remote.far.login import kernels
from ml_remote.far.login.environment.processes import started, this_boot


def execute(code: str, **content: object) -> Message:
    return request("execute_request", {"code": code, "store_history": False, **content})


def test_message_is_signed_anew_and_a_wrong_signature_is_refused() -> None:
    message = execute("1")._replace(route=(b"client",))
    frames = message.frames(b"one key")
    assert Message.read(frames, b"one key") == message
    assert Message.read(frames, b"another key") is None
    assert Message.read(frames[:3], b"one key") is None
    assert Message.read([b"no message"], b"one key") is None
    assert Message.read(message.with_header(subshell_id="1").frames(b""), b"") is not None


@pytest.mark.parametrize(
    ("message", "file"),
    [
        (execute('__vsc_ipynb_file__ = "/p/labs/a.py"\nimport x'), "/p/labs/a.py"),
        (execute('import x\n__vsc_ipynb_file__ = "/p/a\\\\b.ipynb"'), "/p/a\\b.ipynb"),
        (execute('__vsc_ipynb_file__ = "/p/a.py"', store_history=True), ""),
        (execute('print("__vsc_ipynb_file__")'), ""),
        (request("kernel_info_request", {}), ""),
    ],
)
def test_start_up_code_names_the_file(message: Message, file: str) -> None:
    assert file_named(message) == file


@pytest.mark.parametrize(
    ("word", "file"),
    [
        ("--f=/home/a b/kernel-v3ab12.json", "/home/a b/kernel-v3ab12.json"),
        ('--f="/run/kernel-v3ab12.json"', "/run/kernel-v3ab12.json"),
        ("--f=/run/kernel-v3.json", ""),  # nothing after the version
        ("--f=/run/kernel-vab12.json", ""),
        ("--f=/run/kernel-v3xyz.json", ""),
        ("--f=a.json", ""),
        ("-f", ""),
        ("/run/kernel-v3ab12.json", ""),
    ],
)
def test_only_the_extensions_own_command_is_replaced(word: str, file: str) -> None:
    assert hook._file_in(word) == file


def test_script_and_notebook_are_one_lab(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "project", tmp_path / "other.v2.ipynb"
    (root / "labs").mkdir(parents=True)
    (root / "labs" / "a.py").touch()
    elsewhere.touch()
    (tmp_path / "link").symlink_to(root)
    for file in (root / "labs/a.py", root / "labs/a.ipynb", tmp_path / "link/labs/a.py"):
        assert lab_of(root, str(file)) == "labs/a"
    assert lab_of(root, str(elsewhere)) == str(tmp_path / "other.v2")
    assert lab_of(root, str(root / "Untitled-1.ipynb")) == ""


def test_restart_is_a_window_whose_host_has_served_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_remote.far.env.lasting.choosing._LEAVING", 0)
    (tmp_path / "windows").mkdir()
    kernel = kernels.write_about(tmp_path, root="/p", lab="labs/a", pid=os.getpid(), python="")
    mine = f"{os.getpid()}-{started(os.getpid())}"
    host, other = f"{os.getppid()}-{started(os.getppid())}", "1-1"
    assert not is_restart(kernel, "new", host)
    enter(tmp_path, mine, host)
    assert not is_restart(kernel, "new", other)
    assert not is_restart(kernel, "new", host)  # a second view beside the one that is there
    withdraw(tmp_path, mine, host)
    assert is_restart(kernel, "new", host)
    enter(tmp_path, mine, host)
    assert is_restart(kernel, "new", host)  # the other view has just left


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"boot": this_boot().split()[0] + " pid:[1]"},
            "the kernel of labs/a runs in another container",
        ),
        ({"format": kernels.FORMAT + 1}, "another version of lab runs the kernel of labs/a."),
    ],
)
def test_folder_that_is_held_is_told_in_words(
    tmp_path: Path, values: dict[str, object], said: str
) -> None:
    folders = [tmp_path / name for name in ("spare-01234567", kernels.id_of("/p", "labs/a"))]
    for folder in folders:
        folder.mkdir()
        mine = kernels.write_about(folder, root="/p", lab="", pid=os.getpid(), python="")
    about = folders[1] / "about.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | values))
    with pytest.raises(OSError, match=said):
        settle(mine._replace(folder=folders[0]), "labs/a")
    assert in_words(OSError(28, "No space left on device", "/tmp/x")) == (
        "No space left on device: /tmp/x"
    )


def test_start_of_a_process_may_have_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = "Fri Nov 27 09:30:00 2026"  # as ps of macOS says it
    monkeypatch.setattr("ml_remote.far.login.kernels.started", lambda _: start)
    monkeypatch.setattr("ml_remote.far.env.lasting.choosing._LEAVING", 0)
    (tmp_path / "windows").mkdir()
    kernel = kernels.write_about(tmp_path, root="/p", lab="labs/a", pid=os.getpid(), python="")
    host = f"7-{start}"
    for number in (1, 2):
        enter(tmp_path, f"{number}-{start}", host)
    assert not is_restart(kernel, "new", host)
    assert not is_restart(kernel, "new", f"8-{start}")
    for number in (1, 2):
        withdraw(tmp_path, f"{number}-{start}", host)
    assert is_restart(kernel, "new", host)


@pytest.mark.parametrize(
    ("error", "is_for_setup"),
    [
        (FileNotFoundError(".lab/far/current is missing"), True),
        (ImportError("No module named 'zmq'"), True),
        (OSError(28, "No space left on device"), False),
        (kernels.NoKernelFolderError("No folder of this machine can hold kernels."), False),
    ],
)
def test_setup_is_proposed_where_it_helps(error: Exception, is_for_setup: bool) -> None:
    assert ("lab setup" in hook._reason(error)) == is_for_setup


def test_kernel_gets_the_secrets_as_a_run_does(tmp_path: Path) -> None:
    (secrets := tmp_path / ".lab" / "secrets").mkdir(parents=True)
    (secrets / "A").write_bytes(b"two\nlines\n")
    (secrets / "B").write_bytes(b"no\0variable holds that")
    (secrets / "1x").write_bytes(b"no name")
    (secrets / "C").mkdir()
    found = kernel_variables(tmp_path, {"JPY_PARENT_PID": "1", "A": "other"})
    assert {name: value for name, value in found.items() if name != "PATH"} == {
        "A": "two\nlines\n",
        "B": "novariable holds that",
        "PYTHONNOUSERSITE": "1",
    }


def test_folder_of_a_fresh_kernel_is_not_taken_for_that_of_an_ended_one(tmp_path: Path) -> None:
    ended = kernels.write_about(tmp_path, root="/p", lab="labs/a", pid=1, python="")
    fresh = kernels.write_about(tmp_path, root="/p", lab="labs/a", pid=os.getpid(), python="")
    kernels.end(ended._replace(start="0"))
    assert kernels.read_kernel(tmp_path) == fresh


def output(text: str, session: str = "here", metadata: object = ()) -> list[bytes]:
    parts = ({"msg_type": "stream"}, {"session": session}, metadata, {"text": text})
    return [b"topic", b"<IDS|MSG>", b"signature", *(json.dumps(part).encode() for part in parts)]


def test_record_keeps_the_end_and_knows_what_nobody_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_remote.far.env.lasting.output._MOST", 10_000)
    record = Record(lambda session: session == "here")
    assert record.lines() == []
    record.add(output("seen\n"))
    record.add(output("Connected ...", metadata=OWN))
    record.add(output("10%\r50%\r", session="gone"))
    record.add(output("100%\nlast\n", session="gone"))
    assert record.lines(unseen=True) == ["100%", "last"]
    assert record.lines() == ["seen", "100%", "last"]
    record.count_as_seen()
    assert record.lines(unseen=True) == []
    for _ in range(300):
        record.add(output("."))
    assert 50 < len("".join(record.lines())) < 150


def test_first_lines_say_which_kernel_it_is(tmp_path: Path) -> None:
    kernel = kernels.write_about(tmp_path, root="/p", lab="labs/a", pid=os.getpid(), python="")
    said = connected(kernel, variables=1, unseen=["a", "b"], is_outdated=True).splitlines()
    assert said[:4] == ["Printed while no window was open:", "a", "b", ""]
    assert said[4].endswith(" (1 variable). Restart gives a fresh one.")
    assert said[5] == "The environment has changed since. Restart uses the new one."
