"""The record of a run: what it says, what is never in it, and that it stops nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml_remote.far.login import record

SECRET = "s3cret-of-the-project"


def git(folder: Path, *words: str) -> str:
    given = ["-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(
        ["git", *given], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    git(folder, "init", "-q", "-b", "main")
    (folder / "lab.toml").write_text("format = 2\n")
    (folder / "train.py").write_text("print(1)\n")
    (folder / "requirements.lock").write_text("torch==2.9.0\n")
    (folder / ".gitignore").write_text(".lab/\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / ".lab/secrets").mkdir(parents=True)
    (folder / ".lab/secrets/TOKEN").write_text(SECRET)
    packages = folder / ".lab/env/lib/python3.12/site-packages"
    for name in ("torch-2.9.0+cu128", "Scikit_Learn-1.7", "secretly-1.0", "notes"):
        (packages / f"{name}.dist-info").mkdir(parents=True)
    (folder / ".lab/env/pyvenv.cfg").write_text("home = /usr\nversion_info = 3.12.4\n")
    return folder


def edited(project: Path) -> None:
    (project / "train.py").write_text(f"print(2)  # {SECRET}\n")
    (project / "näw file.py").write_text("x = 1\n")


def with_passwords(project: Path) -> None:
    (project / ".env").write_text("API_KEY=of no secret that lab knows\n")


def sent_uncommitted(project: Path) -> None:
    git(project, "checkout", "-qb", "lab-uncommitted")
    (project / "train.py").write_text("print(3)\n")
    git(project, "commit", "-qam", "work")


def large(project: Path) -> None:
    (project / "train.py").write_text("x\n" * 600_000)


def results_not_ignored(project: Path) -> None:
    for name in ("outputs/train/1", "data"):
        (project / name).mkdir(parents=True)
        (project / name / "result.txt").write_text("1")


def no_repository(project: Path) -> None:
    shutil.rmtree(project / ".git")


def with_a_pipe(project: Path) -> None:
    os.mkfifo(project / "pipe")
    edited(project)


TABLE: dict[str, tuple[Callable[[Path], None] | None, dict[str, Any], list[str]]] = {
    "clean": (None, {"dirty": False}, []),
    "edited": (edited, {"dirty": True}, ["+print(2)  # ***", "+x = 1", "train.py"]),
    "uncommitted": (sent_uncommitted, {"dirty": True}, ["-print(1)", "+print(3)"]),
    "large": (large, {"dirty": True, "difference": ""}, []),
    "results": (results_not_ignored, {"dirty": False}, []),
    "pipe": (with_a_pipe, {"dirty": True}, ["+print(2)"]),
    ".env": (with_passwords, {"dirty": False}, []),
    "no repository": (no_repository, {"commit": None}, []),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", TABLE)
def test_record_says_what_ran(
    repository: Path, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, folder = tmp_path / "copy", tmp_path / "results"
    shutil.copytree(repository, project)
    (project / ".venv").symlink_to(".lab/env")
    first = git(project, "rev-parse", "HEAD")
    alter, expected, in_difference = TABLE[change]
    if alter is not None:
        alter(project)
    monkeypatch.setattr(record, "device", lambda: "a card")
    facts = {"id": "one", "command": ["python", SECRET], "secrets": ["TOKEN"], "resume": ""}
    record.begin(folder, facts, project)
    assert record.has_begun(folder)
    record.end(folder, 3)
    found = json.loads((folder / "run.json").read_text())
    values = {"commit": first, **expected}
    assert {key: found.get(key) for key in values} == values
    assert found["command"] == ["python", "***"]
    assert found["versions"] == {"python": "3.12.4", "scikit-learn": "1.7", "torch": "2.9.0+cu128"}
    assert (found["exit_code"], found["device"], len(found["lock"])) == (3, "a card", 64)
    assert found["seconds"] >= 0
    assert "resume" not in found
    assert not record.has_begun(folder)
    patch = folder / "difference.patch"
    text = patch.read_text() if patch.exists() else ""
    assert all(line in text for line in in_difference), text
    assert SECRET not in text
    assert bool(in_difference) == bool(text) == bool(found.get("difference"))


@pytest.mark.slow
def test_patch_makes_the_code_of_the_run_again(repository: Path, tmp_path: Path) -> None:
    project, again = tmp_path / "copy", tmp_path / "again"
    shutil.copytree(repository, project)
    (project / "train.py").write_bytes(b"\x00\xff binary")
    (project / "new one.py").write_text("no end of a line")
    record.begin(tmp_path / "results", {"id": "one"}, project)
    git(tmp_path, "clone", "-q", str(project), str(again))
    git(again, "apply", str(tmp_path / "results/difference.patch"))
    for name in ("train.py", "new one.py"):
        assert (again / name).read_bytes() == (project / name).read_bytes()


@pytest.mark.slow
def test_checkout_names_its_commit_and_git_is_not_asked(repository: Path, tmp_path: Path) -> None:
    record.begin(tmp_path, {"id": "one", "commit": "a" * 40, "dirty": False}, repository)
    found = json.loads((tmp_path / "run.json").read_text())
    assert (found["commit"], found["dirty"]) == ("a" * 40, False)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"started": 3}', "\0" * 9, '{"a": "' * 3])
def test_damaged_record_stops_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    record.end(tmp_path, 0)
    record.end(tmp_path / "missing", 0)
    assert record.main(["end", str(tmp_path), "no number"]) == 0
    (tmp_path / "file").touch()
    record.begin(tmp_path / "file" / "below", {"id": "one"}, tmp_path)
    assert record.main(["begin"]) == 0  # of no job
    assert record.main(["begin", "--commit"]) == 2
    assert record.main([]) == 2
