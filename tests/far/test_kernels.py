"""Kernels of headless runs: nobody else reaches them, and runs do not disturb each other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from accounts import run_as_another_user
from baking import BakedProject, install_far, project_in
from environment import LabEnvironment
from needs import IS_ROOT
from session_watch import processes_below, tcp_listeners, unix_listeners
from tool_helpers import wait_until

pytestmark = pytest.mark.slow

LAB = """# %% tags=["parameters"]
name = "nobody"

# %%
import os, pathlib, time

print("begins:", name, flush=True)
child = os.fork()
if child == 0:
    print("from the fork of:", name, flush=True)
    os._exit(0)
os.waitpid(child, 0)
pathlib.Path(f"ready-{name}").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
print("ends:", name)
"""
CONNECT = """
import socket, sys
for path in sys.argv[1:]:
    print(socket.socket(socket.AF_UNIX).connect_ex(path))
"""


@pytest.fixture
def project(default_project: BakedProject, environment: LabEnvironment, tmp_path: Path) -> Path:
    """Return a project whose own path is too long for sockets."""
    path = tmp_path / ("a-long-name-" * 12)
    shutil.copytree(default_project.path, path)
    (path / ".venv").symlink_to(environment.project.path / ".venv")
    (path / "labs" / "small.py").write_text(LAB)
    install_far(project_in(path))
    return path


@contextmanager
def run(project: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a headless run of the small lab, which ends with the block."""
    words = (".lab/far/current", "headless", "labs/small.py", "-p", "name", name)
    with subprocess.Popen(
        [project / ".venv" / "bin" / "python", *words],
        cwd=project,
        env={**os.environ, "LAB_JOB_FOLDER": f"{project}/.lab/jobs/{name}/"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def private_directories(project: Path) -> set[Path]:
    """Return the directories of the Unix sockets that the runs hold."""
    sockets = unix_listeners(processes_below(project))
    return {Path(path).parent for path in sockets if path.startswith("/")}


def test_runs_of_the_same_second_are_private_and_keep_apart(project: Path) -> None:
    names = ["one", "two", "three"]
    with ExitStack() as stack:
        runs = [stack.enter_context(run(project, name)) for name in names]
        wait_until(lambda: all((project / f"ready-{name}").exists() for name in names))
        processes = processes_below(project)
        assert tcp_listeners(processes) == []
        directories = private_directories(project)
        assert len(directories) == len(names)
        for directory in directories:
            above = directory.parent
            assert above.parent == Path("/tmp")
            assert above.stat().st_mode & 0o777 == 0o700
        (project / "go").touch()
        for name, process in zip(names, runs, strict=True):
            said, _ = process.communicate()
            assert process.returncode == 0, said
            for words in ("begins", "from the fork of", "ends"):
                assert said.count(f"{words}: {name}\n") == 1, said
                assert said.count(f"{words}: ") == 1, said
    assert not any(directory.parent.exists() for directory in directories)
    assert [path for path in project.rglob("*") if path.is_socket()] == []


def test_interrupt_by_which_a_kernel_is_ended_is_no_error(project: Path) -> None:
    log = "get_ipython().kernel.log.error"
    (project / "labs" / "small.py").write_text(
        f'# %% tags=["parameters"]\nname = ""\n\n# %%\n'
        f'{log}("KeyboardInterrupt caught in kernel.")\n{log}("Something else.")\n'
    )
    with run(project, "one") as process:
        said, _ = process.communicate()
    assert process.returncode == 0, said
    assert ("Something else." in said, "KeyboardInterrupt" in said) == (True, False), said


def test_another_user_reaches_no_kernel_and_nothing_is_left_of_a_run_that_ends_early(
    project: Path,
) -> None:
    with run(project, "ended") as process, run(project, "killed") as other:
        wait_until(lambda: all((project / f"ready-{n}").exists() for n in ("ended", "killed")))
        sockets = [path for path in unix_listeners(processes_below(project)) if path[0] == "/"]
        directories = private_directories(project)
        if IS_ROOT:
            assert run_as_another_user(CONNECT, *sockets) == ["13"] * len(sockets)  # EACCES
        process.send_signal(signal.SIGTERM)
        assert process.wait() in (143, -signal.SIGTERM)
        other.kill()
        other.wait()
        assert sum(directory.exists() for directory in directories) == 1
        wait_until(lambda: not processes_below(project))
    (project / "go").touch()
    with run(project, "next") as process:
        said, _ = process.communicate()
        assert process.returncode == 0, said
    assert not any(directory.parent.exists() for directory in directories)
