"""After generating: a git repository with a first commit, or word of what is left to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import Bake
from hooks_as_modules import load_hook


def git(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=project, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_project_is_a_repository_with_one_commit(bake: Bake) -> None:
    project = bake(copied=True).path
    assert git(project, "rev-list", "--count", "HEAD") == "1"
    assert git(project, "branch", "--show-current") == "main"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "log", "-1", "--format=%an") == "Tess Ter"


def test_git_has_the_scripts_and_not_the_notebooks(bake: Bake) -> None:
    project = bake(copied=True).path
    tracked = git(project, "ls-files", "labs").splitlines()
    assert "labs/mnistlab.py" in tracked
    assert not [name for name in tracked if name.endswith(".ipynb")]
    assert (project / "labs" / "mnistlab.ipynb").is_file()


def test_without_an_identity_nothing_is_committed_and_the_commands_are_told(
    bake: Bake, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configuration = home / "no-identity"
    configuration.touch()
    # bake_project writes an identity; these variables come on top of it.
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "")
    project = bake().path
    printed = capfd.readouterr()
    assert "git does not know who you are" in printed.err
    assert printed.out.startswith(f"Made {project}.\n")
    steps = [line.strip() for line in printed.out.partition("Next:\n")[2].splitlines()]
    assert steps[0] == f"cd {project}"
    assert steps[1].startswith("git config --global user.name")
    assert steps[-2:] == ["git add . && git commit -m 'Start'", "uv run lab.py up"]
    assert git(project, "branch", "--show-current") == "main"
    heads = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, capture_output=True)
    assert heads.returncode != 0


def test_without_git_the_project_is_complete_and_the_command_is_told(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    project = bake().path
    assert (project / "lab.toml").is_file()
    assert not (project / ".git").exists()
    assert "git is not installed" in capfd.readouterr().err


def test_git_that_fails_does_not_make_the_bake_fail(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "bin" / "git"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}{os.pathsep}{os.environ['PATH']}")
    project = bake().path
    assert (project / "lab.toml").is_file()
    assert "git init failed" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("shell", "output", "way"),
    [
        ("work", "work", "handwriting-lab"),
        ("work", "work/of mine", "'of mine/handwriting-lab'"),
        ("work", "elsewhere", "{folder}/elsewhere/handwriting-lab"),
        ("link", "work", "handwriting-lab"),
        (None, "work", "{folder}/work/handwriting-lab"),
    ],
)
def test_end_says_what_was_made_and_how_to_go_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str | None, output: str, way: str
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "link").symlink_to("work")
    project = tmp_path / output / "handwriting-lab"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    if shell is None:
        monkeypatch.delenv("PWD", raising=False)
    else:
        monkeypatch.setenv("PWD", str(tmp_path / shell))
    hook = load_hook("post_gen_project")
    assert hook.way_to_project() == way.format(folder=tmp_path)


def test_end_fits_on_four_lines(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PWD", str(tmp_path))
    bake(tmp_path / "output")
    assert capfd.readouterr().out.splitlines() == [
        "Made output/handwriting-lab, with a first commit.",
        "Next:",
        "  cd output/handwriting-lab",
        "  uv run lab.py up",
    ]


def test_hooks_leave_nothing_beside_the_project(bake: Bake, tmp_path: Path) -> None:
    project = bake(tmp_path / "output")
    assert [path.name for path in (tmp_path / "output").iterdir()] == [project.path.name]
    assert not list(project.path.rglob("__pycache__"))


def test_git_is_needed_for_none_of_the_files(bake: Bake, tmp_path: Path) -> None:
    with_git = bake(tmp_path / "with", copied=True).path
    without = bake(tmp_path / "without", accept_hooks=False).path
    shutil.rmtree(with_git / ".git")
    names = [
        {path.relative_to(project) for path in project.rglob("*")}
        for project in (with_git, without)
    ]
    assert names[0] == names[1] | {Path("lab.local.toml")}


@pytest.mark.parametrize(
    ("place", "commit", "update"),
    [
        ("tmpab12_9zz", "1" * 40, True),
        ("tmpab12_9zz", "", False),
        ("x", "1" * 40, False),
        ("tmp", "1" * 40, False),
        ("tmpab12_9zz/mine", "1" * 40, False),
        (".", "1" * 40, False),
    ],
)
def test_only_what_cruft_compares_with_counts_as_an_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, commit: str, update: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    project = tmp_path / place / "handwriting-lab"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    assert load_hook("post_gen_project").is_update({"_commit": commit}) is update
