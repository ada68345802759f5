"""Lists, packages and folders as editors, merges, modes and killed programs leave them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_remote.far.login.environment import caches, obstacles
from ml_remote.far.login.environment.environments import Environments
from ml_remote.far.login.environment.failures import Failure
from ml_remote.far.login.environment.lists import Lists
from ml_remote.far.login.environment.managers import MANAGERS, Work
from ml_remote.far.login.environment.managers.network import explain_network
from ml_remote.far.login.environment.probes import installed
from ml_remote.far.login.environment.settings import Settings
from ml_remote.far.login.environment.state import State

PROBES = Path(installed.__file__).parent
LIST = '[project]\ndependencies = ["alpha>=1"]\n# für alle\n'
LOCK = "# für alle\r\nalpha==1.0\r\nbeta==2.0\r\n"


def add(folder: Path, name: str, version: str, more: str = "", *, encoding: str = "utf-8") -> None:
    """Write what says that a package is installed."""
    folder.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
    (folder / "METADATA").write_bytes(text.encode(encoding))


def ask(packages: Path, probe: str, *arguments: str) -> dict[str, object]:
    """Run a probe as the environment's Python does, where these packages are first."""
    done = subprocess.run(
        [sys.executable, "-B", PROBES / probe, *arguments],
        env={"PYTHONPATH": str(packages)},
        check=True,
        capture_output=True,
        text=True,
    )
    values: dict[str, object] = json.loads(done.stdout)
    return values


def assert_alpha_needs_beta(packages: Path) -> None:
    """Assert that alpha is known as version 1.0, and that it needs beta."""
    versions = ask(packages, "installed.py", "nowhere", "")["versions"]
    assert isinstance(versions, dict)
    assert versions["alpha"] == "1.0"
    values = ask(packages, "leaving.py", '["alpha"]', '["alpha", "beta"]')
    assert values == {"needed": ["alpha", "beta"], "leaving": []}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_lists_are_compared_in_whatever_encoding_they_are(tmp_path: Path, encoding: str) -> None:
    add(tmp_path / "packages" / "alpha-1.0.dist-info", "alpha", "1.0")
    add(tmp_path / "packages" / "beta-1.0.dist-info", "beta", "1.0")
    for name, text in (("pyproject.toml", LIST), ("requirements.lock", LOCK)):
        (tmp_path / name).write_bytes(text.encode(encoding))
    files = (str(tmp_path / "pyproject.toml"), str(tmp_path / "requirements.lock"))
    values = ask(tmp_path / "packages", "installed.py", *files)
    assert values["wanted"] == ["alpha>=1"]
    assert values["problems"] == ["beta is 1.0, not 2.0"]


def test_package_that_a_killed_pip_has_put_aside_does_not_count(tmp_path: Path) -> None:
    add(tmp_path / "~lpha-0.9.dist-info", "alpha", "0.9", "Requires-Dist: old-need\n")
    add(tmp_path / "alpha-1.0.dist-info", "alpha", "1.0", "Requires-Dist: beta\n")
    add(tmp_path / "beta-1.0.dist-info", "beta", "1.0")
    assert_alpha_needs_beta(tmp_path)


def test_package_that_describes_itself_in_another_encoding_is_known(tmp_path: Path) -> None:
    more = "Author: Jürgen\nRequires-Dist: beta\n"
    add(tmp_path / "alpha-1.0.dist-info", "alpha", "1.0", more, encoding="latin-1")
    add(tmp_path / "beta-1.0.dist-info", "beta", "1.0")
    assert_alpha_needs_beta(tmp_path)


@pytest.mark.parametrize(
    ("name", "manager", "is_told"),
    [
        ("pyproject.toml", "uv", True),
        ("requirements.lock", "venv", True),
        ("requirements.lock", "conda", False),
        ("environment.yml", "mamba", True),
        ("environment.yml", "uv", False),
    ],
)
def test_list_that_is_half_merged_is_told(
    tmp_path: Path, name: str, manager: str, is_told: bool
) -> None:
    path = tmp_path / name
    path.write_text("<<<<<<< HEAD\nalpha==1.0\n=======\nalpha==1.1\n>>>>>>> other\n")
    lists = Lists(tmp_path, "", tmp_path / "requirements.lock")
    if not is_told:
        obstacles.check_merged(MANAGERS[manager](manager), lists)
        return
    with pytest.raises(Failure, match=f"{name} is half merged"):
        obstacles.check_merged(MANAGERS[manager](manager), lists)


def test_file_in_the_place_of_the_environment_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / ".venv").write_text("my notes")
    with pytest.raises(Failure, match=r"\.venv is a file"):
        obstacles.check_obstacles(Environments(tmp_path), State(None, None, ""))
    assert (tmp_path / ".venv").read_text() == "my notes"


def test_folder_of_ones_own_that_may_not_be_changed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    folder = tmp_path / "my lab"
    folder.mkdir()
    error = PermissionError(13, "Permission denied", str(folder / ".lab" / "environment.lock"))
    told = obstacles.refused(error)
    assert told is not None
    assert told.sentence == f"{folder} is yours, but its mode does not let you change it."
    assert told.hints[0] == f"Allow it: chmod u+rwX '{folder}'"


def test_home_directory_that_nobody_may_write_has_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    environments = Environments(tmp_path / "project")
    assert caches.choose_cache(environments, Settings()).cache == ""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert caches.choose_cache(environments, Settings()).cache == ".lab/cache"
    assert caches.choose_cache(environments, Settings(cache="/mine")).cache == "/mine"
    known = explain_network(
        "error: Failed to initialize cache at `/home/a b/uv`\n  cause: Permission denied",
        Work(tmp_path, tmp_path, Lists(tmp_path, ""), Settings()),
        program="uv",
    )
    assert known is not None
    assert known.sentence == "uv cannot use its folder for downloads, /home/a b/uv."
