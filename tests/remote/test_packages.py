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
from place import Place

NAMES = {"alpha": {"pypi_name": "alpha", "conda_name": "conda-alpha"}}
LISTS = ("pyproject.toml", "environment.yml", "requirements.lock")


@pytest.fixture
def wheels(place: Place) -> Path:
    """A folder of stand-in packages, which both sides can read."""
    folder = place.server.account.home / "wheels"
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
def packages_here(place: Place, wheels: Path) -> Place:
    """A small project with lists, pushed; uv takes packages from that folder, here and there."""
    lab = json.dumps(["torch>=2.6"])
    root = place.project.path
    (root / "backend.py").write_text(BACKEND)
    (root / "environment.yml").write_text(
        "channels:\n  - conda-forge\ndependencies:\n  - python=3.12\n  - pytorch>=2.6\n"
    )
    settings = (root / "lab.toml").read_text().replace('"auto"', '"uv"')
    (root / "lab.toml").write_text(settings.replace('python = "3.12"', f'python = "{THIS_PYTHON}"'))
    shutil.rmtree(root / "labs")
    place.commit("pyproject.toml", PYPROJECT.format(lab=lab))
    account = place.server.account
    account.write(".config/uv/uv.toml", settings_of_uv(root.parent, wheels).read_text())
    uv = shutil.which("uv")
    assert uv is not None
    account.write(".local/bin/uv", f'#!/bin/sh\nexec {uv} "$@"\n')
    (account.home / ".local/bin/uv").chmod(0o755)
    assert place.lab("push").returncode == 0
    return place


def lab(place: Place, wheels: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return place.lab(
        *words,
        UV_CONFIG_FILE=str(settings_of_uv(place.project.path.parent, wheels)),
        UV_CACHE_DIR=str(place.project.path.parent / "cache"),
        XDG_CACHE_HOME=str(place.project.path.parent / "cache"),
    )


def settings_of_uv(folder: Path, wheels: Path) -> Path:
    """Return a file that leads uv to a folder of packages, and to nothing else."""
    path = folder / "uv.toml"
    path.write_text(f'no-index = true\nfind-links = ["{wheels}"]\npython-downloads = "never"\n')
    return path


def texts(place: Place) -> dict[str, bytes]:
    files = [place.project.path / name for name in LISTS]
    return {path.name: path.read_bytes() for path in files if path.is_file()}


def installed(place: Place) -> dict[str, str]:
    record = json.loads((place.folder / ".venv/lab-environment.json").read_text())
    return {name: record["installed"].get(name) for name in ("torch", "alpha", "beta")}


@pytest.mark.slow
def test_packages_are_added_locked_and_removed(packages_here: Place, wheels: Path) -> None:
    place = packages_here
    first = lab(place, wheels, "setup")
    assert first.returncode == 0, first.stderr
    assert "Wrote requirements.lock" in first.stdout
    assert "torch==2.9" in (place.project.path / "requirements.lock").read_text()
    # Nothing came into the working tree there, so nothing stands in the way of the next push.
    assert place.there("status", "--porcelain", "--untracked-files=all") == ""
    assert not (place.folder / "requirements.lock").exists()

    added = lab(place, wheels, "add", "alpha", "beta<1.1")
    assert added.returncode == 0, added.stderr
    assert "Added alpha>=1.1, beta<1.1 to pyproject.toml and environment.yml." in added.stdout
    assert "  + alpha 1.1.5" in added.stdout.splitlines()
    assert added.stdout.splitlines()[-1].startswith("Next: git add pyproject.toml environment.yml")
    assert '"alpha>=1.1", "beta<1.1", "torch>=2.6"' in texts(place)["pyproject.toml"].decode()
    yml = texts(place)["environment.yml"].decode()
    assert yml.endswith(
        "  - conda-alpha>=1.1\n  - python=3.12\n  - pytorch>=2.6\n  - pip:\n    - beta<1.1\n"
    )
    assert installed(place) == {"torch": "2.9", "alpha": "1.1.5", "beta": "1.0"}
    again = lab(place, wheels, "add", "alpha")
    assert again.stdout == "alpha is in the lists already.\nNext: lab setup\n"

    before = texts(place)
    for words, said in (
        (["add", "nowhere"], "nowhere was not found"),
        (["add", "beta>=2"], "beta"),
        (["add", "-r x"], "No such option"),
        (["add", "./here"], "'./here' is not a requirement."),
        (["add", "pip"], "pip is not a package that `lab` adds or removes."),
        (["remove", "gamma"], "gamma is not in pyproject.toml."),
        (["remove", "alpha>1"], "more than a name"),
    ):
        failed = lab(place, wheels, *words)
        assert failed.returncode in (1, 2)
        assert said in failed.stderr
        assert texts(place) == before

    removed = lab(place, wheels, "remove", "Beta", "alpha")
    assert removed.returncode == 0, removed.stderr
    assert "  - beta 1.0" in removed.stdout.splitlines()
    assert installed(place) == {"torch": "2.9", "alpha": None, "beta": None}
    assert b"alpha" not in b"".join(texts(place).values())
    assert b"pip" not in texts(place)["environment.yml"]


@pytest.mark.slow
def test_lock_is_kept_until_it_is_upgraded(packages_here: Place, wheels: Path) -> None:
    place = packages_here
    newest = wheels / "alpha-1.1.5-py3-none-any.whl"
    aside = newest.rename(place.project.path.parent / newest.name)
    assert lab(place, wheels, "add", "alpha").returncode == 0
    shutil.move(aside, newest)
    kept = lab(place, wheels, "lock")
    assert kept.stdout == "requirements.lock is up to date: 2 packages.\n"
    assert installed(place)["alpha"] == "1.0"
    upgraded = lab(place, wheels, "lock", "--upgrade")
    assert "  alpha 1.0 -> 1.1.5" in upgraded.stdout.splitlines(), upgraded.stderr
    assert installed(place)["alpha"] == "1.1.5"


@pytest.mark.slow
def test_lists_of_the_laptop_count_until_newer_ones_are_committed(
    packages_here: Place, wheels: Path
) -> None:
    place = packages_here
    assert lab(place, wheels, "add", "alpha").returncode == 0

    def script() -> str:
        command = 'cd "$1" && PATH=$HOME/.local/bin:$PATH sh scripts/setup-environment.sh 2>&1'
        return place.client.run_script(command, place.name, check=False, timeout=120).stdout

    # The commit on the machine does not have the package yet; the environment keeps it.
    said = script()
    assert "still count" in said
    assert installed(place)["alpha"] == "1.1.5"
    place.git("add", "--all")
    place.git("commit", "--quiet", "--message", "Add alpha")
    assert lab(place, wheels, "push").returncode == 0
    assert "still count" not in script()
    # A newer commit on the machine counts.
    text = (place.folder / "pyproject.toml").read_text().replace('"alpha>=1.1"', '"beta"')
    place.commit_there("pyproject.toml", text)
    said = script()
    assert "newer than those" in said
    assert installed(place)["beta"] == "1.1.5", said


@pytest.mark.slow
def test_environment_is_made_without_a_lock_where_there_is_no_index(
    packages_here: Place, wheels: Path
) -> None:
    done = lab(packages_here, packages_here.project.path, "setup")
    assert done.returncode == 0, done.stderr
    assert "The versions of this environment are not locked." in done.stderr
    assert not (packages_here.project.path / "requirements.lock").exists()
    assert installed(packages_here)["torch"] == "2.9"
