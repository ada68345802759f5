"""The project's script with real conda and mamba: made, changed, never lost, and cured."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from baking import THIS_PYTHON, BakedProject, install_far
from conda_channel import LARGE_FILE
from conda_clients import CLIENTS, Client, conda_client, programs_of
from conftest import Bake
from environment_events import build_wheel
from remote_fixtures import wait_until

SCRIPT = "scripts/setup-environment.sh"
# Fewer packages than a project has: every one takes conda time.
FEW = f"""name: few
channels:
  - conda-forge
dependencies:
  - python={THIS_PYTHON}
  - pip
  - graphviz  # dot
  - hatchling>=1.26
  - pytorch>=2.6
"""
CURED = "removed from the package cache"
SOME = ("conda-26.7.1", "mamba-2.0.5")


@dataclass(frozen=True)
class Place:
    """A project, and the client that makes its environment."""

    project: BakedProject
    client: Client

    @property
    def environment(self) -> Path:
        """The environment in use."""
        return (self.project.path / ".venv").resolve()

    @property
    def variables(self) -> dict[str, str]:
        """What the script finds set."""
        return {**self.client.variables, "LAB_MINIMUM_FREE_GB": "0", "LAB_PROGRAM_FOLDERS": ""}

    def list(self, *lines: str, ruff: str = "ruff<0.14") -> None:
        """Write environment.yml: the few packages, and more lines."""
        text = FEW + "".join(f"{line}\n" for line in [f"  - {ruff}", *lines])
        (self.project.path / "environment.yml").write_text(text)

    def set_up(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return self.project.run("sh", SCRIPT, *words, check=False, **self.variables, **variables)

    def make(self, **variables: str) -> str:
        """Run the script, which must succeed; return what it printed."""
        done = self.set_up(**variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refuse(self, **variables: str) -> str:
        """Run the script, which must fail and leave the environment working; return the error."""
        before = self.environment
        done = self.set_up(**variables)
        assert done.returncode == 1, done.stdout
        assert self.environment == before
        self.check_whole()
        assert re.search(r"^Error: .*(?:\n  .*)*\n\Z", done.stderr, re.MULTILINE)  # the last lines
        return done.stderr.partition("Error: ")[2]

    def check_whole(self) -> None:
        """Check that torch can be imported, and that its large file is whole."""
        self.project.run(".venv/bin/python", "-c", "import torch")
        (large,) = self.environment.rglob(Path(LARGE_FILE).name)
        assert large.stat().st_size == 12_000_000

    def kill_while_unpacking(self) -> None:
        """Empty the package cache, and kill a setup while torch is unpacked."""
        shutil.rmtree(self.client.cache)
        setup = subprocess.Popen(
            ["sh", SCRIPT],
            cwd=self.project.path,
            env={**os.environ, **self.variables},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def is_unpacking() -> bool:
            return setup.poll() is not None or any(self.client.cache.glob(f"*/{LARGE_FILE}"))

        try:
            wait_until(is_unpacking, limit=60)
        finally:
            assert setup.poll() is None
            os.killpg(setup.pid, signal.SIGKILL)
            setup.wait()


@pytest.fixture(params=CLIENTS)
def place(request: pytest.FixtureRequest, bake: Bake, tmp_path: Path) -> Iterator[Place]:
    client = conda_client(request.param, tmp_path / "person")
    project = bake(tmp_path, python_version=THIS_PYTHON, copied=True)
    own = f'[environment]\nmanager = "{client.program}"\n'
    (project.path / "lab.local.toml").write_text(own)
    shutil.rmtree(project.path / "labs")
    install_far(project)
    made = Place(project, client)
    made.list()
    yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.slow
def test_environment_is_made_and_changed_and_never_lost(place: Place) -> None:
    made = place.make()
    assert f"Manager: {place.client.program}" in made
    assert "The environment is complete: Python" in made
    place.check_whole()
    assert place.project.run(place.environment / "bin" / "dot").stdout.startswith("dot")
    assert "up to date" in place.make()
    first = place.environment
    # A program that somebody has removed is missed: Python knows nothing of it.
    (gone,) = (first / "conda-meta").glob("graphviz-*.json")
    gone.rename(gone.with_suffix(".aside"))
    assert "not up to date: graphviz is missing" in place.set_up("--check").stdout
    gone.with_suffix(".aside").rename(gone)

    place.list("  - timm", "  - tqdm>=4.66")
    place.make()
    assert place.environment != first
    assert not first.exists()
    assert {"timm", "tqdm"} <= installed(place.environment)

    place.list("  - no-such-thing>=1")
    for _ in range(2):
        error = place.refuse()
        assert "no package that fits no-such-thing>=1" in error
        assert "lab remove no-such-thing" in error

    is_conda = place.client.program == "conda"
    if is_conda:
        (place.client.home / ".condarc").write_text("channels: [\n")
        assert "~/.condarc is not valid YAML" in place.refuse()
        (place.client.home / ".condarc").unlink()

    place.list("  - tqdm")
    place.kill_while_unpacking()
    place.check_whole()
    after = place.make()
    assert (CURED in after) == is_conda
    place.check_whole()
    assert "timm" not in installed(place.environment)

    # As a kill inside the last file leaves it; a warning is all that conda has for that.
    (large,) = place.client.cache.glob(f"*/{LARGE_FILE}")
    large.unlink()
    large.write_bytes(b"short")
    place.list()
    assert (CURED in place.make()) == is_conda
    place.check_whole()


@pytest.mark.slow
@pytest.mark.parametrize("place", SOME, indirect=True)
def test_card_build_is_kept_and_lock_is_followed(place: Place) -> None:
    # As installers leave it: not on PATH, and named in ~/.bashrc only.
    place = replace(place, client=replace(place.client, programs=Path("/nowhere")))
    program = programs_of(place.client.name) / place.client.program
    (place.client.home / ".bashrc").write_text(f"eval \"$('{program}' 'shell.bash' 'hook')\"\n")
    own = place.project.path / "lab.local.toml"
    without_choice = own.read_text()
    own.write_text(f'{without_choice}torch = "cu126"\n')
    place.make()
    assert "pytorch-2.9.0-cuda126_0" in builds(place.environment)
    lock = place.project.path / ".lab" / "conda-linux-64.lock"
    assert "# card: 12.6\n" in lock.read_text()

    # Without the choice it stays, though this machine has no card; so does the version of ruff.
    own.write_text(without_choice)
    place.list("  - timm", ruff="ruff>=0.8")
    place.make()
    kept = {"pytorch-2.9.0-cuda126_0", "ruff-0.13-0", "timm-1.0-0"}
    assert kept <= builds(place.environment)

    # A colleague's machine.
    shutil.copy(lock, place.project.path)
    shutil.rmtree(place.project.path / ".lab" / "envs")
    (place.project.path / ".venv").unlink()
    own.write_text(f'{without_choice}torch = "cu126"\n')
    assert "Versions come from conda-linux-64.lock" in place.make()
    assert kept <= builds(place.environment)

    # Where no link can be, as in a dev container.
    before = place.environment
    place.list(ruff="ruff>=0.8")
    place.make(LAB_CHANGE_IN_PLACE="1")
    assert place.environment == before
    assert builds(place.environment) >= {"pytorch-2.9.0-cuda126_0", "ruff-0.13-0"}
    assert "timm-1.0-0" not in builds(place.environment)

    own.write_text(f'{without_choice}torch = "cpu"\n')
    assert "is for machines with a card" in place.make()
    assert "pytorch-2.9.0-cpu_0" in builds(place.environment)

    # The newest versions, for `lab lock --upgrade`.
    place.list(ruff="ruff<0.14")
    place.make()
    place.list(ruff="ruff>=0.8")
    place.make()
    assert "ruff-0.13-0" in builds(place.environment)
    place.make(LAB_UPGRADE="1")
    assert "ruff-0.13-0" not in builds(place.environment)


@pytest.mark.slow
def test_what_only_pypi_has_is_changed_and_removed_in_place(place: Place) -> None:
    wheels = place.client.home / "wheels"
    for version in ("1.0", "2.0"):
        build_wheel(wheels, "only_on_pypi", version, needs="its_need")
    for name in ("its_need", "by_hand"):
        build_wheel(wheels, name, "1.0")
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    in_place = {**index, "LAB_CHANGE_IN_PLACE": "1"}

    def pip(*words: str) -> str:
        command = (".venv/bin/python", "-m", "pip", *words)
        return place.project.run(*command, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels)).stdout

    def versions() -> dict[str, str]:
        lines = pip("list", "--format=freeze").splitlines()
        return dict(line.split("==") for line in lines if "==" in line)

    place.list()
    place.make(**index)
    before = place.environment
    place.list("  - pip:", "      - only-on-pypi<2")
    place.make(**in_place)
    assert (versions()["only_on_pypi"], versions()["its_need"]) == ("1.0", "1.0")
    pip("install", "by-hand")
    of_conda = builds(place.environment)

    # Another version, in a list from Windows; then one that does not exist, which changes nothing.
    place.list("  - pip:", "      - only-on-pypi>=2")
    listed = place.project.path / "environment.yml"
    listed.write_bytes(listed.read_bytes().replace(b"\n", b"\r\n"))
    place.make(**in_place)
    assert versions()["only_on_pypi"] == "2.0"
    assert "up to date" in place.make(**in_place)
    place.list("  - pip:", "      - only-on-pypi>=3")
    failed = place.set_up(**in_place)
    assert failed.returncode == 1, failed.stdout
    assert "only-on-pypi" in failed.stderr.partition("Error: ")[2]
    assert versions()["only_on_pypi"] == "2.0"
    place.check_whole()

    # What left the section goes, with what only that needed; what somebody has added stays.
    place.list()
    assert "Removing what the lists no longer ask for" in place.make(**in_place)
    kept = versions()
    assert "by_hand" in kept
    assert not {"only_on_pypi", "its_need"} & kept.keys()
    assert builds(place.environment) == of_conda
    assert place.environment == before
    place.check_whole()


@pytest.mark.slow
@pytest.mark.parametrize("place", SOME, indirect=True)
def test_script_alone_makes_an_environment_and_adds_to_it(place: Place) -> None:
    shutil.rmtree(place.project.path / ".lab")
    shutil.rmtree(place.project.path / "scripts" / "sync_pairs.py", ignore_errors=True)
    for name in ("environment.yml", "pyproject.toml", "lab.local.toml"):  # from a Windows laptop
        path = place.project.path / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    made = place.make()
    assert f"Manager: {place.client.program}. Without its far half" in made
    place.check_whole()
    place.list("  - timm")
    place.make()
    assert "timm" in installed(place.environment)
    check_list_by_hand(place)


def check_list_by_hand(place: Place) -> None:
    """Make an environment as people do without any script, what only PyPI has included."""
    build_wheel(place.client.home / "wheels", "only_on_pypi", "1.0")
    place.list("  - pip:", "      - only-on-pypi>=1.0")
    prefix = place.client.home / "by-hand"
    yes = [] if place.client.program == "conda" else ["--yes"]
    listed = place.project.path / "environment.yml"
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(place.client.home / "wheels")}
    place.client.run("env", "create", *yes, "-p", prefix, "-f", listed, variables=index)
    place.project.run(prefix / "bin" / "python", "-c", "import torch, only_on_pypi")


def builds(prefix: Path) -> set[str]:
    """Return name, version and build of each package."""
    return {path.stem for path in (prefix / "conda-meta").glob("*.json")}


def installed(prefix: Path) -> set[str]:
    """Return the names of the packages."""
    return {build.rsplit("-", 2)[0] for build in builds(prefix)}
