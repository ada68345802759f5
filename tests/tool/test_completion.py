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
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, TOOL, BakedProject
from needs import need_program
from tool_helpers import run_tool

from ml_remote import cli
from ml_remote.ui.completion import completion_script
from ml_remote.version import Version

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
def script(shell: str, printed: Callable[[str], str], tmp_path: Path) -> Path:
    """Return what `lab completion` prints, in a file."""
    path = tmp_path / f"lab.{shell}"
    path.write_text(printed(shell), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def printed(default_project: BakedProject) -> Callable[[str], str]:
    """Return what `lab completion SHELL` prints, asked once for each shell."""

    @cache
    def ask(shell: str) -> str:
        return default_project.run(sys.executable, "-B", "lab.py", "completion", shell).stdout

    return ask


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that appears when ssh is run."""
    programs, file = tmp_path / "programs", tmp_path / "ssh-was-run"
    programs.mkdir()
    (programs / "ssh").write_text(f"#!/bin/sh\ntouch '{file}'\nexit 255\n")
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return file


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder for the only programs that there are."""
    folder = tmp_path / "only-programs"
    folder.mkdir()
    return folder


def add_program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def say(
    shell: str, script: Path, words: str, *, folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `words` in a shell that has read the script."""
    program, *options = SCRIPTED[shell]
    return subprocess.run(
        [str(shutil.which(program)), *options, f"source '{script}'; {words}"],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )


def complete(shell: str, script: Path, typed: str, *, folder: Path, expected: str) -> str:
    """Return what is on the screen after `typed` and the Tab key, at last with `expected`."""
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


def test_lab_whose_name_a_shell_would_read_is_not_completed(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text("format = 2\n")
    (tmp_path / "labs").mkdir()
    for name in (
        "ü-1",
        "$(touch pwned)",
        "`id`",
        "a;id",
        "a b",
        "~",
        "a&",
        "q'",
        "*",
        "n\nplain,x",
    ):
        (tmp_path / "labs" / f"{name}.py").touch()
    asked = {"COMP_WORDS": "lab run labs/", "COMP_CWORD": "2", "_LAB_COMPLETE": "bash_complete"}
    assert run_tool(tmp_path, **asked).stdout == "plain,labs/ü-1.py\n"


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
    shell: str, script: Path, default_project: BakedProject, tmp_path: Path
) -> None:
    folder = default_project.path / "scripts"
    variables = {"UV_PYTHON": sys.executable, "PYTHONPATH": ""}
    done = say(shell, script, "lab run --help", folder=folder, **variables)
    assert done.stdout.startswith("Usage: lab run"), done.stderr
    (note,) = done.stderr.splitlines()
    assert "lab.py pins no version of lab. This one runs: 0.1.0 from " in note
    done = say(shell, script, "lab up", folder=tmp_path, **variables)
    assert done.returncode == 1
    assert f"There is no lab.toml in {tmp_path}" in done.stderr


@pytest.mark.slow
def test_function_runs_nothing_that_an_installed_lab_would_not(
    shell: str, script: Path, tmp_path: Path
) -> None:
    (tmp_path / "lab.toml").touch()
    (tmp_path / "lab.py").write_text("print('it ran')\n")
    (tmp_path / "lab.local.toml").write_text('[tool]\npath = "tool"\n')
    variables = {"UV_PYTHON": sys.executable, "PYTHONPATH": "", "LAB_TOOL": str(tmp_path / "tool")}
    done = say(shell, script, "lab up </dev/null", folder=tmp_path, **variables)
    assert done.returncode == 2
    assert "which you have not run before" in done.stderr
    (tmp_path / "lab.py").chmod(0o666)
    done = say(shell, script, "lab --accept-tool up", folder=tmp_path, **variables)
    assert done.returncode == 1
    assert "Everyone on this computer can change" in done.stderr
    assert "it ran" not in done.stdout


@pytest.mark.slow
def test_function_has_the_installed_lab_run_by_uv(
    shell: str, script: Path, tmp_path: Path, programs: Path
) -> None:
    add_program(programs, "uv", 'printf "<%s>" "$@"')
    done = say(shell, script, "lab run 'a b'", folder=tmp_path, PATH=str(programs))
    words = ["--quiet", "--with-editable", str(TEMPLATE_ROOT), "--from", str(TEMPLATE_ROOT), "lab"]
    assert done.stdout == "".join(f"<{word}>" for word in ["tool", "run", *words, "run", "a b"])


@pytest.mark.slow
def test_function_says_that_there_is_no_uv(
    shell: str, script: Path, tmp_path: Path, programs: Path
) -> None:
    done = say(shell, script, "lab up", folder=tmp_path, PATH=str(programs))
    assert done.returncode == 1
    assert "lab needs uv: https://docs.astral.sh/uv/\n" in done.stderr
    done = say(shell, script, "_LAB_COMPLETE=x lab up", folder=tmp_path, PATH=str(programs))
    assert "lab needs uv" not in done.stderr


def test_installed_lab_is_left_alone(
    shell: str, script: Path, tmp_path: Path, programs: Path
) -> None:
    add_program(programs, "lab", 'echo "installed: $*"')
    done = say(shell, script, "lab up", folder=tmp_path, PATH=str(programs))
    assert done.stdout == "installed: up\n", done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"], indirect=True)  # fish has neither
def test_alias_of_ones_own_is_left_alone_and_unset_variables_may_be_errors(
    shell: str, script: Path, tmp_path: Path, programs: Path
) -> None:
    own = "shopt -s expand_aliases 2>/dev/null; set -u; alias lab='echo mine'"
    source = f"{own}\nsource '{script}'\n"
    done = say(shell, Path("/dev/null"), f"{source}eval 'lab up'", folder=tmp_path)
    assert done.stdout == "mine up\n", done.stderr
    done = say(
        shell,
        Path("/dev/null"),
        f"set -u\nsource '{script}'\nlab up",
        folder=tmp_path,
        PATH=str(programs),
    )
    assert "lab needs uv" in done.stderr
    assert "unbound" not in done.stderr + done.stdout


@pytest.mark.slow
def test_tab_completes_an_installed_lab(
    shell: str, script: Path, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = f"import sys; sys.path.insert(0, '{TOOL}'); from ml_remote.start import main; main()"
    add_program(programs, "lab", f'exec {sys.executable} -c "{start}" "$@"')
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    screen = complete(shell, script, "lab dis", folder=tmp_path, expected="lab disconnect")
    assert "lab disconnect" in screen


def test_version_that_uv_cannot_bring_has_no_function(shell: str) -> None:
    unknown = Version(number="1")
    assert "uv tool run" not in completion_script(cli.lab, shell, unknown)
    assert "_LAB_COMPLETE" in completion_script(cli.lab, shell, unknown)
    pinned = Version(number="1", url="https://git.example.com/tool", commit="0" * 40)
    requirement = f"--from 'ml-remote @ git+https://git.example.com/tool@{'0' * 40}' lab"
    assert requirement in completion_script(cli.lab, shell, pinned)
