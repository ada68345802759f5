"""`lab setup` and `lab up`: the environment is made there, whatever happens to the laptop."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from remote_project import RemoteProject
from started import read_until
from tool_helpers import without_waiting

# Stands in for the real script, which tests/bake and the journey run: it waits for a word.
SCRIPT = """\
if [ "$1" = --check ]; then
    [ -e .lab/complete ] || exit 1
    echo 'The environment is up to date: all of it'
    exit 0
fi
echo started >>starts
[ "$LAB_PROGRESS" = json ] || exit 7
echo '{"event": "step", "number": 1, "of": 2, "heading": "Manager: uv"}'
echo 'Downloading torch (802.9MiB)'
printf '%s\\n' "$PATH" >path
printf '%s\\n' "$LAB_FAR" >far
mkdir -p .lab
[ -p .lab/go ] || mkfifo .lab/go
read -r word <.lab/go
case $word in
fail) echo 'Error: There is no room.'; echo '  Make some.'; exit 1 ;;
die) kill -9 $$ ;;
esac
echo '{"event": "step", "number": 2, "of": 2, "heading": "Checking"}'
touch .lab/complete
echo 'The environment is complete: all of it'
"""


@pytest.fixture(autouse=True)
def lock(remote_project: RemoteProject) -> None:
    """A lock that fits the lists, so that none is made."""
    text = remote_project.project.read("pyproject.toml")
    bounds = re.findall(r'^    "([\w-]+)>=([\d.]+)"', text, re.MULTILINE)
    assert len(bounds) > 10
    remote_project.commit(
        "requirements.lock", "".join(f"{name}=={least}\n" for name, least in bounds)
    )


@pytest.fixture
def project_there(remote_project: RemoteProject) -> RemoteProject:
    """Return a project with the stand-in script, pushed."""
    remote_project.commit("scripts/setup-environment.sh", SCRIPT)
    remote_project.push()
    return remote_project


def tell(remote_project: RemoteProject, word: str) -> None:
    """Allow the script to continue."""
    remote_project.client.run_script('cd "$1" && echo "$2" >.lab/go', remote_project.name, word)


@pytest.mark.slow
def test_setup_shows_steps_and_the_second_has_nothing_to_do(project_there: RemoteProject) -> None:
    process = project_there.start_lab("setup")
    said = read_until(process, "[1/2] Manager: uv")
    tell(project_there, "on")
    said += process.communicate()[0]
    assert process.returncode == 0, said
    assert without_waiting(said).splitlines() == [
        "[1/2] Manager: uv",
        "[2/2] Checking",
        "The environment is complete: all of it",
        "Next: lab run labs/mnistlab.py",
    ]
    folders = (project_there.folder / "path").read_text().split(":")
    assert str(project_there.server.account.home / ".local/bin") in folders
    assert str(project_there.server.account.home / "miniforge3/condabin") in folders
    settings = tomllib.loads((project_there.folder / ".lab/settings.toml").read_text())
    assert settings["remote"]["folder"] == project_there.name
    far = (project_there.folder / "far").read_text().strip()
    assert (project_there.folder / far / "ml_remote/far/env/headless.py").is_file()
    again = project_there.lab("setup")
    assert again.stdout.splitlines()[0] == "The environment is up to date: all of it"
    assert (project_there.folder / "starts").read_text() == "started\n"

    # The lock that conda wrote comes here; the machine could not commit it.
    name, text = "conda-linux-64.lock", "# card: \n@EXPLICIT\nhttps://host/a-1-0.conda#0\n"
    (project_there.folder / ".venv").mkdir()
    (project_there.folder / ".venv/lab-environment.json").write_text('{\n "manager": "mamba"\n}\n')
    (project_there.folder / ".lab" / name).write_text(text)
    assert f"git add {name}" in project_there.lab("setup").stdout
    assert (project_there.project.path / name).read_text() == text


@pytest.mark.slow
def test_setup_goes_on_when_the_laptop_is_gone_and_is_found_again(
    project_there: RemoteProject,
) -> None:
    first = project_there.start_lab("setup")
    read_until(first, "[1/2]")
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    second = project_there.start_lab("setup")
    said = read_until(second, "[1/2]")
    assert "has been running since" in said
    tell(project_there, "on")
    said, _ = second.communicate()
    assert second.returncode == 0, said
    assert "The environment is complete: all of it" in said
    assert (project_there.folder / "starts").read_text() == "started\n"


@pytest.mark.slow
def test_setup_survives_a_restart_of_the_server(project_there: RemoteProject) -> None:
    process = project_there.start_lab("setup")
    said = read_until(process, "[1/2]")
    project_there.server.stop()
    said += read_until(process, "continues")
    project_there.server.start()
    said += read_until(process, "is back")
    tell(project_there, "on")
    said += process.communicate()[0]
    assert process.returncode == 0, said
    assert said.count("[1/2]") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("fail", ["No environment on machine: There is no room.", "Make some."]),
        ("die", ["No environment on machine. The last output:", "Downloading torch"]),
    ],
)
def test_failure_is_told_with_the_log(
    project_there: RemoteProject, word: str, words: list[str]
) -> None:
    process = project_there.start_lab("setup")
    said = read_until(process, "[1/2]")
    tell(project_there, word)
    said += process.communicate()[0]
    assert process.returncode == 1
    for part in words:
        assert part in said
    # The command that it names shows all that was printed.
    (command,) = re.findall(r"^Full output: (.*)$", said, re.MULTILINE)
    log = subprocess.run(shlex.split(command), capture_output=True, text=True).stdout
    assert "Downloading torch (802.9MiB)" in log


@pytest.mark.slow
def test_setup_of_a_project_that_is_not_there(remote_project: RemoteProject) -> None:
    done = remote_project.lab("setup")
    assert done.returncode == 1
    assert "There is no folder" in done.stderr
    assert "lab up" in done.stderr


@pytest.mark.slow
def test_setup_here_keeps_the_log(remote_project: RemoteProject) -> None:
    remote_project.commit(
        "scripts/setup-environment.sh", SCRIPT.replace("read -r word <.lab/go", "")
    )
    done = remote_project.lab("setup", "--local")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "The environment is complete: all of it"
    assert "Downloading torch" in (remote_project.project.path / ".lab" / "setup.log").read_text()
    remote_project.commit(
        "scripts/setup-environment.sh",
        "echo 'Error: No.'; echo '  Yes.'; echo '  If not, on your laptop: lab'; exit 3",
    )
    done = remote_project.lab("setup", "--local")
    assert done.returncode == 1
    assert "No environment on this computer: No." in done.stderr
    assert "  Yes.\nNext: Fix that, then: lab setup --local\n" in done.stderr


@pytest.fixture
def editor(tmp_path: Path) -> Callable[[], list[str]]:
    """Return how an editor, which records its arguments, was called."""
    program = tmp_path / "code"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>"{tmp_path}/opened"\n')
    program.chmod(0o755)

    def opened() -> list[str]:
        file = tmp_path / "opened"
        return file.read_text().splitlines() if file.exists() else []

    return opened


@pytest.mark.slow
def test_up_opens_the_editor_when_it_finds_an_interpreter(
    remote_project: RemoteProject,
    tmp_path: Path,
    editor: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A window that opens where there is none finds no interpreter, and does not look again."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    remote_project.commit("scripts/setup-environment.sh", SCRIPT)
    process = remote_project.start_lab("up")
    said = read_until(process, "[1/2]")
    assert editor() == []
    tell(remote_project, "on")
    said += process.communicate()[0]
    assert process.returncode == 0, said
    expected = ("logs in without", "Pushed", "[2/2]", "opens machine", "Next: ")
    positions = [said.index(part) for part in expected]
    assert positions == sorted(positions)
    assert said.count("Next: ") == 1
    assert any("machine.code-workspace" in line for line in editor())

    # Setup says that there is one, long before the environment is complete.
    (tmp_path / "opened").unlink()
    (remote_project.folder / ".lab" / "complete").unlink()
    first = """echo '{"event": "first"}'\nread -r word <.lab/go"""
    remote_project.commit(
        "scripts/setup-environment.sh", SCRIPT.replace("read -r word <.lab/go", first)
    )
    process = remote_project.start_lab("up")
    said = read_until(process, "opens machine:")
    assert "[1/2]" in said
    assert '"event"' not in said
    tell(remote_project, "on")
    said += process.communicate()[0]
    assert process.returncode == 0, said
    assert said.index("opens machine") < said.index("[2/2]")
    assert said.count("opens machine") == 1

    # One that works is of use while it is changed.
    (tmp_path / "opened").unlink()
    (remote_project.folder / ".lab" / "complete").unlink()
    remote_project.server.account.write(f"{remote_project.name}/.venv/bin/python", "", mode=0o755)
    process = remote_project.start_lab("up")
    said = read_until(process, "[1/2]")
    assert "opens machine:" in said
    assert any("machine.code-workspace" in line for line in editor())
    tell(remote_project, "on")
    said += process.communicate()[0]
    assert process.returncode == 0, said


@pytest.mark.slow
def test_up_goes_on_without_an_editor(
    remote_project: RemoteProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_EDITOR", "/nowhere/code")
    remote_project.commit(
        "scripts/setup-environment.sh", SCRIPT.replace("read -r word <.lab/go", "")
    )
    done = remote_project.lab("up")
    assert done.returncode == 0, done.stderr
    assert "The environment is complete" in done.stdout


@pytest.mark.slow
def test_project_without_script_and_lists_for_its_environment_is_told(
    remote_project: RemoteProject,
) -> None:
    remote_project.write_there("lab.toml", remote_project.project.read("lab.toml"))
    lists = ("pyproject.toml", "environment.yml", "requirements.lock")
    for name in ("scripts/setup-environment.sh", *lists):
        (remote_project.project.path / name).unlink()
    done = remote_project.lab("setup")
    assert done.returncode == 1
    assert "There is nothing to make the environment on machine from" in done.stderr
    assert "Next: List your packages in requirements.txt, which may be empty" in done.stderr
    done = remote_project.lab("setup", "--local")
    assert done.returncode == 1
    assert "There is nothing to make the environment on this computer from" in done.stderr
