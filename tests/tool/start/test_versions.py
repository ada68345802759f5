"""An installed `lab`: which version it runs in a project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TOOL, BakedProject
from template_copy import commit_all, make_repository
from tool.start.installed import COMMIT, SETTINGS, START, URL, Start, handed_over, script

from ml_remote.errors import ConfigurationError
from ml_remote.pins import read_pin
from ml_remote.programs import find_program


@pytest.mark.slow
def test_without_a_project_the_installed_one_is_run(lab: Start, tmp_path: Path) -> None:
    assert lab("--version", folder=tmp_path).stdout.startswith("lab 0.1.0 from ")


@pytest.mark.parametrize("requirement", [None, "click"], ids=["no lab.py", "no pin"])
def test_without_a_pin_the_installed_one_is_run(
    lab: Start, project: Path, requirement: str | None
) -> None:
    if requirement is None:
        (project / "lab.py").unlink()
    else:
        (project / "lab.py").write_text(script(requirement))
    (project / "below").mkdir()
    done = lab("--version", folder=project / "below")
    assert done.stdout.startswith("lab 0.1.0 from "), done.stderr
    assert ("pins no version of lab" in done.stderr) is (requirement is not None)


@pytest.mark.slow
def test_folder_of_this_very_tool_is_run_at_once(lab: Start, project: Path) -> None:
    (project / "lab.py").write_text(script("click"))
    (project / "lab.local.toml").write_text(f'[tool]\npath = "{TOOL.parent}"\n')
    assert lab("--version").stdout.startswith("lab 0.1.0 from ")


def test_pin_is_run_by_uv_with_the_same_words(lab: Start, project: Path) -> None:
    (project / "labs").mkdir()
    done = lab("--accept-tool", "run", "a b", "--local", folder=project / "labs")
    assert done.stdout == handed_over(project, "run", "a b", "--local")
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("more", [" ; python_version > '3'", "#egg=x"])
def test_pin_in_another_form_is_run_by_uv_too(lab: Start, project: Path, more: str) -> None:
    (project / "lab.py").write_text(script(f"ml-remote @ git+{URL}@{COMMIT}{more}"))
    assert lab("--accept-tool", "runs").stdout == handed_over(project, "runs")


def test_address_that_would_change_the_terminal_is_refused(lab: Start, project: Path) -> None:
    (project / "lab.py").write_text(script(f"ml-remote @ git+https://\\u001b[2Kx.example@{COMMIT}"))
    refused = lab("--accept-tool", "runs")
    assert refused.returncode == 1
    assert "takes the tool from an address with control characters" in refused.stderr
    assert "\x1b[2K" not in refused.stderr


def test_lock_beside_it_is_obeyed(lab: Start, project: Path) -> None:
    (project / "lab.py.lock").touch()
    assert lab("--accept-tool", "up").stdout == handed_over(project, "up").replace(
        "uv run", "uv run --frozen"
    )


@pytest.mark.slow
def test_exit_code_is_that_of_the_pinned_one(lab: Start, uv: Path) -> None:
    uv.write_text("#!/bin/sh\nexit 7\n")
    assert lab("--accept-tool", "up").returncode == 7


@pytest.mark.slow
def test_settings_that_cannot_be_read_are_left_to_the_pinned_one(lab: Start, project: Path) -> None:
    (project / "lab.toml").write_text("[remote\n")
    assert lab("--accept-tool", "up").stdout == handed_over(project, "up")


@pytest.mark.slow
def test_project_with_the_tool_in_it_runs_that(lab: Start, project: Path) -> None:
    (project / "lab.toml").write_text(SETTINGS.replace("format = 2\n", ""))
    (project / "lab.py").write_text(script("click"))
    assert lab("--version").stdout.startswith("lab 0.1.0 from ")  # cruft has taken it away
    (project / "src" / "remote").mkdir(parents=True)
    asked = lab("up")
    assert f"runs lab from {project}/src/remote" in asked.stderr
    assert lab("--accept-tool", "up").stdout == handed_over(project, "up")


def test_missing_uv_is_told(lab: Start, project: Path, uv: Path) -> None:
    assert lab("--accept-tool", "up").returncode == 0
    done = lab("up", PATH=str(project))
    assert done.returncode == 1
    assert done.stderr.startswith("lab needs uv")


@pytest.mark.slow
def test_script_that_starts_lab_again_does_not_go_round(
    lab: Start, project: Path, uv: Path
) -> None:
    (uv.parent / "again.py").write_text(START[-1])
    uv.write_text(f'#!/bin/sh\nexec {sys.executable} -B "{uv.parent}/again.py" up\n')
    done = lab("--accept-tool", "up")
    assert done.returncode == 1
    assert "starts `lab` again instead of the tool it pins" in done.stderr


def test_terminal_that_a_command_opens_may_start_lab_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ml_remote import cli

    monkeypatch.setenv("LAB_HANDED_OVER", "x")
    assert cli.main(["--version"]) == 0
    assert "LAB_HANDED_OVER" not in os.environ


@pytest.mark.parametrize(
    ("requirement", "source", "commit"),
    [
        (f"ml-remote @ git+{URL}@{COMMIT}", f"{URL} at commit {COMMIT}", COMMIT),
        (f"ML_remote@git+{URL}@{COMMIT}", f"{URL} at commit {COMMIT}", COMMIT),
        (f"ml-remote @ git+{URL}@v1", f"git+{URL}@v1", None),
        (f"ml-remote @ git+ssh://git@h/p@{COMMIT}", f"ssh://git@h/p at commit {COMMIT}", COMMIT),
        ("ml-remote-other", None, None),
        ("click", None, None),
    ],
)
def test_pin_is_read(
    project: Path, requirement: str, source: str | None, commit: str | None
) -> None:
    for ending in ("\n", "\r\n"):
        (project / "lab.py").write_bytes(script(requirement).replace("\n", ending).encode())
        pin = read_pin(project)
        assert (pin and pin.source, pin and pin.commit) == (source, commit)


def test_metadata_that_is_no_toml_is_told(project: Path) -> None:
    (project / "lab.py").write_text(script('"'))
    with pytest.raises(ConfigurationError, match="metadata in"):
        read_pin(project)


@pytest.mark.slow
def test_installed_from_git_it_runs_what_a_project_pins(
    default_project: BakedProject, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository(tmp_path / "repository")
    url = f"file://{repository}"
    first = _git(repository, "rev-parse", "HEAD")
    metadata = repository / "pyproject.toml"
    metadata.write_text(metadata.read_text().replace('version = "0.1.0"', 'version = "0.2.0"', 1))
    commit_all(repository, "Number another version")
    second = _git(repository, "rev-parse", "HEAD")
    programs = tmp_path / "bin"
    monkeypatch.setenv("UV_TOOL_DIR", str(tmp_path / "tools"))
    monkeypatch.setenv("UV_TOOL_BIN_DIR", str(programs))
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    monkeypatch.delenv("PYTHONPATH")
    subprocess.run(["uv", "tool", "install", "--quiet", f"git+{url}@{first}"], check=True)

    def lab(*words: str, **variables: str) -> str:
        done = subprocess.run(
            [programs / "lab", *words],
            cwd=project,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (project / "lab.py").unlink()
    assert lab("--version") == f"lab 0.1.0, commit {first}, format 2\n"
    assert f"'ml-remote @ git+{url}@{first}'" in lab("completion", "bash")
    text = default_project.read("lab.py")
    for commit, number in ((first, "0.1.0"), (second, "0.2.0")):
        pinned = f'# dependencies = ["ml-remote @ git+{url}@{commit}"]'
        text = re.sub(r"(?m)^# dependencies = \[.*\]$", pinned, text)
        (project / "lab.py").write_text(text)
        words = ["--accept-tool"] if commit == second else []  # the installed one needs no question
        assert lab(*words, "--version") == f"lab {number}, commit {commit}, format 2\n"
    repository.rename(tmp_path / "gone")
    assert lab("--version", UV_OFFLINE="1") == f"lab 0.2.0, commit {second}, format 2\n"
    assert lab("pull", "--help", UV_OFFLINE="1").startswith("Usage: lab pull")


def _git(repository: Path, *words: str) -> str:
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_program_is_never_taken_from_the_folder_that_one_is_in(
    uv: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "uv").write_text("#!/bin/sh\n")
    (project / "uv").chmod(0o755)
    monkeypatch.chdir(project)
    for path in (".", "", f"{os.pathsep}."):
        monkeypatch.setenv("PATH", path)
        assert find_program("uv") is None
    monkeypatch.setenv("PATH", f".{os.pathsep}{uv.parent}")
    assert find_program("uv") == str(uv)
