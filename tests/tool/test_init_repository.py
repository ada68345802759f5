"""What `lab init` reads from a repository, and how it says that it cannot read one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml_remote.errors import LabError, UsageError
from ml_remote.initialising.repository import look
from ml_remote.transfer.local_repository import read_repository


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty repository, which is the current folder."""
    root = tmp_path / "leaves"
    subprocess.run(["git", "init", "-q", root], check=True)
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("gitfile", "variables", "said"),
    [
        ("", {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}, "belongs to another user, so git refuses"),
        ("gitdir: /nonexistent", {}, "points to a repository that no longer exists"),
    ],
)
def test_repository_that_git_cannot_work_in_is_not_called_missing(
    gitfile: str,
    variables: dict[str, str],
    said: str,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if gitfile:
        (repository / ".git").rename(repository / "git")
        (repository / ".git").write_text(gitfile)
    with pytest.raises(LabError, match=said):
        look()


def test_folder_whose_path_is_no_text_is_told(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository.rename(repository.with_name("leaves-\udce9"))
    monkeypatch.chdir(folder)
    for read in (look, lambda: read_repository(folder)):
        with pytest.raises(LabError, match="is not UTF-8 text"):
            read()


@pytest.mark.parametrize(
    ("name", "text", "python"),
    [
        (".python-version", "3.13.1\n", "3.13"),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.9'\n", "3.12"),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.13'\n", "3.13"),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.9,<3.12'\n", "3.11"),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.8,<=3.11'\n", "3.11"),
        ("pyproject.toml", "tool = 1\n", "3.12"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.11'\n", "3.12"),
        ("pyproject.toml", "[project]\nname = 'x'\n", "3.12"),
        ("setup.py", "", "3.12"),
    ],
)
def test_python_is_that_of_the_repository(
    repository: Path, name: str, text: str, python: str
) -> None:
    (repository / name).write_text(text)
    assert look().python == python


def test_python_that_is_too_old_is_told(repository: Path) -> None:
    (repository / "pyproject.toml").write_text("[project]\nrequires-python = '>=3.8,<3.11'\n")
    with pytest.raises(UsageError, match=r"lab needs 3\.11 or newer"):
        look()
