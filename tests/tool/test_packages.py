"""`lab add`, `lab remove` and `lab lock`, with real uv on both sides and wheels from a folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from baking import THIS_PYTHON
from environment_events import BACKEND, PYPROJECT, TORCH, build_wheel
from remote_project import RemoteProject

from ml_remote.package_lists.uv import reason
from ml_remote.packages import _changed
from ml_remote.transfer.local_repository import git

NAMES = {"alpha": {"pypi_name": "alpha", "conda_name": "conda-alpha"}}
LISTS = ("pyproject.toml", "environment.yml", "requirements.lock")


@pytest.fixture
def wheels(remote_project: RemoteProject) -> Path:
    """Return a folder of stand-in packages, which both sides can read."""
    folder = remote_project.server.account.home / "wheels"
    build_wheel(folder, "torch", "2.9", TORCH)
    for name in ("alpha", "beta"):
        for version in ("1.0", "1.1.5"):
            build_wheel(folder, name, version)
    build_wheel(folder, "conda_pypi", "0.13.1", f"NAMES = {NAMES}")
    # The map is a file of a package, as in the real one.
    add_file(folder / "conda_pypi-0.13.1-py3-none-any.whl", json.dumps(NAMES))
    return folder


def add_file(wheel: Path, text: str) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("conda_pypi/grayskull_pypi_mapping.json", text)


@pytest.fixture
def packages_here(remote_project: RemoteProject, wheels: Path) -> RemoteProject:
    """Return a small project with lists, pushed; uv takes packages from that folder."""
    lab = json.dumps(["torch>=2.6"])
    root = remote_project.project.path
    (root / "backend.py").write_text(BACKEND)
    (root / "environment.yml").write_text(
        "channels:\n  - conda-forge\ndependencies:\n  - python=3.12\n  - pytorch>=2.6\n"
    )
    settings = (root / "lab.toml").read_text().replace('"auto"', '"uv"')
    (root / "lab.toml").write_text(settings.replace('python = "3.12"', f'python = "{THIS_PYTHON}"'))
    shutil.rmtree(root / "labs")
    remote_project.commit("pyproject.toml", PYPROJECT.format(lab=lab))
    account = remote_project.server.account
    account.write(".config/uv/uv.toml", settings_of_uv(root.parent, wheels).read_text())
    uv = shutil.which("uv")
    assert uv is not None
    account.write(".local/bin/uv", f'#!/bin/sh\nexec {uv} "$@"\n')
    (account.home / ".local/bin/uv").chmod(0o755)
    remote_project.push()
    return remote_project


def lab(
    remote_project: RemoteProject, wheels: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    return remote_project.lab(
        *words,
        UV_CONFIG_FILE=str(settings_of_uv(remote_project.project.path.parent, wheels)),
        UV_CACHE_DIR=str(remote_project.project.path.parent / "cache"),
        XDG_CACHE_HOME=str(remote_project.project.path.parent / "cache"),
    )


def settings_of_uv(folder: Path, wheels: Path) -> Path:
    """Return a file that leads uv to a folder of packages, and to nothing else."""
    path = folder / "uv.toml"
    path.write_text(f'no-index = true\nfind-links = ["{wheels}"]\npython-downloads = "never"\n')
    return path


def texts(remote_project: RemoteProject) -> dict[str, bytes]:
    files = [remote_project.project.path / name for name in LISTS]
    return {path.name: path.read_bytes() for path in files if path.is_file()}


def installed(remote_project: RemoteProject) -> dict[str, str]:
    record = json.loads((remote_project.folder / ".venv/lab-environment.json").read_text())
    return {name: record["installed"].get(name) for name in ("torch", "alpha", "beta")}


@pytest.mark.slow
def test_packages_are_added_locked_and_removed(packages_here: RemoteProject, wheels: Path) -> None:
    remote_project = packages_here
    first = lab(remote_project, wheels, "setup")
    assert first.returncode == 0, first.stderr
    assert "Wrote requirements.lock" in first.stdout
    assert "torch==2.9" in (remote_project.project.path / "requirements.lock").read_text()
    # Nothing came into the working tree there, so nothing is in the way of the next push.
    assert remote_project.there("status", "--porcelain", "--untracked-files=all") == ""
    assert not (remote_project.folder / "requirements.lock").exists()

    added = lab(remote_project, wheels, "add", "alpha", "beta<1.1")
    assert added.returncode == 0, added.stderr
    assert "Added alpha>=1.1, beta<1.1 to pyproject.toml and environment.yml." in added.stdout
    assert "  + alpha 1.1.5" in added.stdout.splitlines()
    assert added.stdout.splitlines()[-1].startswith("Next: git add pyproject.toml environment.yml")
    assert (
        '"alpha>=1.1", "beta<1.1", "torch>=2.6"' in texts(remote_project)["pyproject.toml"].decode()
    )
    yml = texts(remote_project)["environment.yml"].decode()
    assert yml.endswith(
        "  - conda-alpha>=1.1\n  - python=3.12\n  - pytorch>=2.6\n  - pip:\n    - beta<1.1\n"
    )
    assert installed(remote_project) == {"torch": "2.9", "alpha": "1.1.5", "beta": "1.0"}
    again = lab(remote_project, wheels, "add", "alpha")
    assert again.stdout == "alpha is already in the lists.\nNext: lab setup\n"

    more = lab(remote_project, wheels, "add", "alpha[all]")
    assert "Added alpha[all]>=1.1 to pyproject.toml" in more.stdout, more.stderr

    before = texts(remote_project)
    for words, said in (
        (["add", "nowhere"], "nowhere was not found"),
        (["add", "beta>=2"], "beta"),
        (["add", "-r x"], "No such option"),
        (["add", "./here"], "'./here' is not a requirement."),
        (["add", "pip"], "`lab` cannot add or remove pip."),
        (["remove", "gamma"], "gamma is not in pyproject.toml."),
        (["remove", "alpha>1"], "not just a name"),
    ):
        failed = lab(remote_project, wheels, *words)
        assert failed.returncode in (1, 2)
        assert said in failed.stderr
        assert texts(remote_project) == before

    removed = lab(remote_project, wheels, "remove", "Beta", "alpha")
    assert removed.returncode == 0, removed.stderr
    assert "  - beta 1.0" in removed.stdout.splitlines()
    assert installed(remote_project) == {"torch": "2.9", "alpha": None, "beta": None}
    assert b"alpha" not in b"".join(texts(remote_project).values())
    assert b"pip" not in texts(remote_project)["environment.yml"]


def test_only_what_git_does_not_have_is_to_be_committed(tmp_path: Path) -> None:
    names = ["pyproject.toml", "requirements.lock"]
    for name in names:
        (tmp_path / "lab" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "lab" / name).write_text("")
    assert _changed(tmp_path / "lab") == names  # there is no repository
    for words in (
        ("init", "--quiet"),
        ("add", "."),
        ("-c", "user.name=Ada", "-c", "user.email=a@b", "commit", "--quiet", "--message", "Begin"),
    ):
        git(tmp_path, *words)
    (tmp_path / "lab" / names[1]).write_text("alpha==1\n")
    assert _changed(tmp_path / "lab") == names[1:]
    (tmp_path / "lab" / names[0]).write_text("edited by hand")
    assert _changed(tmp_path / "lab") == names


@pytest.mark.slow
def test_lock_is_kept_until_it_is_upgraded(packages_here: RemoteProject, wheels: Path) -> None:
    remote_project = packages_here
    newest = wheels / "alpha-1.1.5-py3-none-any.whl"
    aside = newest.rename(remote_project.project.path.parent / newest.name)
    assert lab(remote_project, wheels, "add", "alpha").returncode == 0
    shutil.move(aside, newest)
    kept = lab(remote_project, wheels, "lock")
    assert kept.stdout.startswith("requirements.lock is up to date: 2 packages.\nNext: ")
    assert installed(remote_project)["alpha"] == "1.0"
    upgraded = lab(remote_project, wheels, "lock", "--upgrade")
    assert "  alpha 1.0 -> 1.1.5" in upgraded.stdout.splitlines(), upgraded.stderr
    assert installed(remote_project)["alpha"] == "1.1.5"


@pytest.mark.slow
def test_lists_of_the_laptop_count_until_newer_ones_are_committed(
    packages_here: RemoteProject, wheels: Path
) -> None:
    remote_project = packages_here
    assert lab(remote_project, wheels, "add", "alpha").returncode == 0

    def script() -> str:
        command = 'cd "$1" && PATH=$HOME/.local/bin:$PATH sh scripts/setup-environment.sh 2>&1'
        return remote_project.client.run_script(
            command, remote_project.name, check=False, timeout=120
        ).stdout

    # The commit on the machine does not have the package yet; the environment keeps it.
    said = script()
    assert "are used again" in said
    assert installed(remote_project)["alpha"] == "1.1.5"
    remote_project.git("add", "--all")
    remote_project.git("commit", "--quiet", "--message", "Add alpha")
    assert lab(remote_project, wheels, "push").returncode == 0
    assert "are used again" not in script()
    # A newer commit on the machine counts.
    text = (remote_project.folder / "pyproject.toml").read_text().replace('"alpha>=1.1"', '"beta"')
    remote_project.commit_there("pyproject.toml", text)
    said = script()
    assert "newer than those" in said
    assert installed(remote_project)["beta"] == "1.1.5", said


@pytest.mark.slow
def test_environment_is_made_without_a_lock_where_there_is_no_index(
    packages_here: RemoteProject, wheels: Path
) -> None:
    done = lab(packages_here, packages_here.project.path, "setup")
    assert done.returncode == 0, done.stderr
    assert "The versions of this environment are not locked." in done.stderr
    assert not (packages_here.project.path / "requirements.lock").exists()
    assert installed(packages_here)["torch"] == "2.9"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "error: Request failed after 3 retries in 5.0s\n"
            "  cause: Failed to fetch: https://pypi.org/simple/timm/\n"
            "  cause: error sending request for url (https://pypi.org/simple/timm/)\n"
            "  cause: client error (Connect)\n"
            "  cause: failed to lookup address information\n",
            "Request failed after 3 retries in 5.0s: Failed to fetch: "
            "https://pypi.org/simple/timm/: failed to lookup address information",
        ),
        (
            "error: No solution found when resolving dependencies:\n"
            "  cause: Because nowhere was not found in the package registry\n"
            "  we can conclude that it cannot be had.\n\nhint: None.\n",
            "No solution found when resolving dependencies: Because nowhere was not found in the "
            "package registry we can conclude that it cannot be had. hint: None.",
        ),
        (
            "  \u00d7 No solution found:\n  \u2570\u2500\u25b6 Because a<2",
            "No solution found: Because a<2",
        ),
    ],
    ids=["chain", "one cause", "drawn"],
)
def test_reason_of_uv_is_what_failed_and_why(text: str, said: str) -> None:
    assert reason(text) == said
