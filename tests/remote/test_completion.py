"""`lab completion`, read by the shells that it is for."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, TOOL, BakedProject
from needs import IS_ROOT, need_program

SHELLS = ("bash", "zsh", "fish")
# Shells that read no settings of anybody's, at a terminal and without one.
INTERACTIVE = {"bash": ["bash", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"]}
SCRIPTED = {
    "bash": ["bash", "-c"],
    "zsh": ["zsh", "-f", "-c"],
    "fish": ["fish", "--no-config", "-c"],
}
PATIENCE = 60.0  # seconds for a word to be completed, before it counts as not completed


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    need_program(name)
    return name


@pytest.fixture
def script(shell: str, default_project: BakedProject, tmp_path: Path) -> Path:
    """What `lab completion` prints, in a file."""
    printed = default_project.run(sys.executable, "-B", "lab.py", "completion", shell).stdout
    path = tmp_path / f"lab.{shell}"
    path.write_text(printed, encoding="utf-8")
    return path


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears when ssh is run."""
    programs, file = tmp_path / "programs", tmp_path / "ssh-was-run"
    programs.mkdir()
    (programs / "ssh").write_text(f"#!/bin/sh\ntouch '{file}'\nexit 255\n")
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return file


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs, with those of the system that the function uses."""
    folder = tmp_path / "only-programs"
    folder.mkdir()
    for name in ("find", "id"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def say(
    shell: str, script: Path, words: str, *, folder: Path, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Say `words` to a shell that has read the script; its programs are those in `path`."""
    program, *options = SCRIPTED[shell]
    environment = {**os.environ, "PYTHONPATH": str(TOOL)}
    if path is not None:
        environment["PATH"] = str(path)
    return subprocess.run(
        [str(shutil.which(program)), *options, f"source '{script}'; {words}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def complete(shell: str, script: Path, typed: str, *, folder: Path, expected: str) -> str:
    """Return what stands on the screen after `typed` and the Tab key, at last with `expected`."""
    if shell == "fish":  # its own engine, asked directly
        command = [*SCRIPTED[shell], f"source '{script}'; complete --do-complete '{typed}'"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        return typed.rpartition(" ")[0] + " " + done.stdout
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.environ |= {"TERM": "dumb", "PS1": "", "HOME": str(script.parent)}
        os.execvp(INTERACTIVE[shell][0], INTERACTIVE[shell])
    try:
        os.write(terminal, f"PS1=; source '{script}' && echo rea''dy\n".encode())
        before = _read_until(terminal, "ready\r\n")
        assert "ready" in before, before
        os.write(terminal, f"{typed}\t".encode())
        return _read_until(terminal, expected)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def _read_until(terminal: int, expected: str) -> str:
    """Return what a terminal shows until `expected` is there, or for as long as one may wait."""
    screen, deadline = "", time.monotonic() + PATIENCE
    while expected not in screen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            screen += os.read(terminal, 4096).decode(errors="replace")
    return screen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("lab dis", "lab disconnect"),
        ("lab pull --over", "lab pull --overwrite"),
        ("lab connect --key-type ed", "lab connect --key-type ed25519"),
        ("lab run labs/tr", "lab run labs/treelab.py"),
    ],
    ids=["a command", "an option", "a choice", "a lab"],
)
def test_tab_completes(
    shell: str,
    script: Path,
    default_project: BakedProject,
    canary: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    expected: str,
) -> None:
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    monkeypatch.setenv("LAB_TOOL", str(TEMPLATE_ROOT))
    monkeypatch.delenv("PYTHONPATH")
    folder = default_project.path / "labs"  # anywhere in the project
    assert expected in complete(shell, script, typed, folder=folder, expected=expected)
    assert not canary.exists()


@pytest.mark.slow
def test_function_runs_the_lab_of_the_project_that_one_is_in(
    shell: str, script: Path, default_project: BakedProject
) -> None:
    variables = {"UV_PYTHON": sys.executable, "LAB_TOOL": str(TEMPLATE_ROOT), "PYTHONPATH": ""}
    done = subprocess.run(
        [*SCRIPTED[shell], f"source '{script}'; lab run --help"],
        cwd=default_project.path / "scripts",
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("Usage: lab run"), done.stderr
    assert done.stderr == ""


def test_function_takes_python_where_there_is_no_uv(
    shell: str, script: Path, default_project: BakedProject, programs: Path
) -> None:
    (programs / "python3").write_text(f"#!/bin/sh\nexec '{sys.executable}' -B \"$@\"\n")
    (programs / "python3").chmod(0o755)
    done = say(shell, script, "lab 'no such' command", folder=default_project.path, path=programs)
    assert done.returncode == 2
    assert "No such command 'no such'" in done.stderr


def test_function_says_that_it_is_in_no_project(shell: str, script: Path, tmp_path: Path) -> None:
    done = say(shell, script, "lab up", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "lab: There is no lab.toml in this folder or a folder above it.\n"


def test_function_says_that_a_project_pins_no_lab(shell: str, script: Path, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").touch()
    done = say(shell, script, "lab up", folder=tmp_path)
    assert done.returncode == 1
    assert f"{tmp_path} has no lab.py." in done.stderr


@pytest.mark.parametrize("name", ["lab.toml", "lab.py", "lab.py.lock", "lab.local.toml", "."])
def test_function_runs_nothing_that_others_can_change(
    shell: str, script: Path, tmp_path: Path, name: str
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for file in ("lab.toml", "lab.py"):
        (project / file).write_text("raise SystemExit('it ran')\n")
    path = project / name
    path.touch()
    path.chmod(path.stat().st_mode | 0o002)
    done = say(shell, script, "lab up", folder=project)
    assert done.returncode == 1
    assert "Another user owns this or can change it" in done.stderr
    assert str(project) in done.stderr
    assert "it ran" not in done.stderr


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_function_runs_nothing_of_somebody_else(shell: str, script: Path, tmp_path: Path) -> None:
    for name in ("lab.toml", "lab.py"):
        (tmp_path / name).write_text("raise SystemExit('it ran')\n")
    os.chown(tmp_path / "lab.py", 12345, 12345)
    done = say(shell, script, "lab up", folder=tmp_path)
    assert done.returncode == 1
    assert "Another user owns this or can change it" in done.stderr
    assert "it ran" not in done.stderr


def test_function_obeys_a_lock(shell: str, script: Path, tmp_path: Path, programs: Path) -> None:
    (programs / "uv").write_text('#!/bin/sh\necho "$@"\n')
    (programs / "uv").chmod(0o755)
    for name in ("lab.toml", "lab.py"):
        (tmp_path / name).touch()
    done = say(shell, script, "lab up", folder=tmp_path, path=programs)
    assert done.stdout == f"run --quiet --script {tmp_path}/lab.py up\n"
    (tmp_path / "lab.py.lock").touch()
    done = say(shell, script, "lab up", folder=tmp_path, path=programs)
    assert done.stdout == f"run --frozen --quiet --script {tmp_path}/lab.py up\n"


def test_installed_lab_is_left_alone(
    shell: str, script: Path, tmp_path: Path, programs: Path
) -> None:
    (programs / "lab").write_text('#!/bin/sh\necho "installed: $*"\n')
    (programs / "lab").chmod(0o755)
    done = say(shell, script, "lab up", folder=tmp_path, path=programs)
    assert done.stdout == "installed: up\n", done.stderr


@pytest.mark.slow
def test_tab_completes_an_installed_lab(
    shell: str, script: Path, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = f"import sys; sys.path.insert(0, '{TOOL}'); from ml_remote.start import main; main()"
    (programs / "lab").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{start}" "$@"\n')
    (programs / "lab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    screen = complete(shell, script, "lab dis", folder=tmp_path, expected="lab disconnect")
    assert "lab disconnect" in screen
