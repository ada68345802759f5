"""Forty processes at once, and processes that are killed at every single step of an edit."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ssh_tree import OURS, entry, lay_out, meaning, picture

from ml_remote.ssh import config_query as verification
from ml_remote.ssh import ssh_config

pytestmark = [
    pytest.mark.slow,
    # The child that is forked only edits, and is killed or exits at once.
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]

SOURCE = Path(ssh_config.__file__).parents[2]
BEFORE = "# mine\nHost a\n    User u\n"

CONNECT = """
import sys
from pathlib import Path
from ml_remote.ssh import ssh_config
from ml_remote.ssh.address import parse_destination
from ml_remote.ssh.entry import Entry

directory, action, *aliases = sys.argv[1:]
for alias in aliases:
    if action == "connect":
        entry = Entry(alias=alias, destination=parse_destination(f"ada@{alias}.example.com"))
        plan = ssh_config.plan_connect(entry, directory=Path(directory))
    else:
        plan = ssh_config.plan_disconnect(alias, directory=Path(directory))
    ssh_config.apply(plan)
"""

# The calls of the system by which an edit changes files.
STEPS = ("write", "replace", "rename", "fsync", "unlink", "mkdir", "rmdir", "chmod", "fchmod")


def edit(action: str, directory: Path) -> None:
    if action == "connect":
        ssh_config.apply(ssh_config.plan_connect(entry(), directory=directory))
    else:
        ssh_config.apply(ssh_config.plan_disconnect("gpu", directory=directory))


def killed_at_step(step: int, action: str, directory: Path) -> bool:
    """Edit in a process that is killed at its `step`th step; return whether it came to that.

    Of the bytes that it was about to write in that step, half are written.
    """
    child = os.fork()
    if child == 0:
        try:
            _kill_at(step)
            edit(action, directory)
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _kill_at(step: int) -> None:
    # What is verified is in a temporary directory; that part is no step of the edit.
    verification.check = lambda *_, **__: []
    steps = itertools.count(1)

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            if next(steps) == step:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    for name in STEPS:
        setattr(os, name, counted(name, getattr(os, name)))


def start(action: str, directory: Path, *aliases: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CONNECT, str(directory), action, *aliases],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "ssh"
    lay_out(folder, {"config": BEFORE})
    return folder


def test_forty_processes_at_once_lose_nothing(directory: Path) -> None:
    aliases = [f"gpu{number}" for number in range(40)]
    processes = [start("connect", directory, alias) for alias in aliases]
    assert [errors for process in processes if (errors := process.communicate()[1])] == []
    line = f"Include {directory}/{OURS}/*.conf\n"
    assert (directory / "config").read_text() == line + BEFORE
    assert [known.alias for known in ssh_config.list_entries(directory)] == sorted(aliases)
    for alias in aliases:
        assert meaning(alias, directory=directory)["hostname"] == f"{alias}.example.com"


def test_connecting_and_disconnecting_at_the_same_time_ends_in_one_of_both(tmp_path: Path) -> None:
    directory = tmp_path / "ssh"
    lay_out(directory, {"config": BEFORE})
    processes = [
        start(action, directory, *["gpu"] * 5)
        for action in ("connect", "disconnect", "connect", "disconnect")
    ]
    assert [errors for process in processes if (errors := process.communicate()[1])] == []
    line = f"Include {directory}/{OURS}/*.conf\n"
    assert (directory / "config").read_text() in (BEFORE, line + BEFORE)
    ssh_config.apply(ssh_config.plan_disconnect("gpu", directory=directory))
    assert (directory / "config").read_text() == BEFORE


@pytest.mark.parametrize("action", ["connect", "disconnect"])
def test_a_process_killed_at_any_step_leaves_the_old_or_the_new_file(
    action: str, tmp_path: Path
) -> None:
    found = []
    for step in itertools.count(1):
        directory = tmp_path / str(step) / "ssh"
        directory.parent.mkdir()
        lay_out(directory, {"config": BEFORE})
        if action == "disconnect":
            edit("connect", directory)
        config = directory / "config"
        old = config.read_text()
        new = f"Include {directory}/{OURS}/*.conf\n{BEFORE}" if action == "connect" else BEFORE

        was_killed = killed_at_step(step, action, directory)

        now = config.read_text()
        assert now in (old, new), f"killed at step {step}"
        assert meaning("a", directory=directory)["user"] == "u"
        edit(action, directory)
        assert config.read_text() == new
        edit("disconnect", directory)
        assert picture(directory).keys() == {"config"}
        assert config.read_text() == BEFORE
        if not was_killed:  # it has fewer steps than that
            break
        found.append(now == new)
    print(f"{action}: killed at {len(found)} steps")
    # There were such steps, and from one of them on it was the new file.
    assert len(found) > 10
    assert found[0] is False
    assert found[-1] is True
    assert found == sorted(found)
