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
from kernels.driving import ExtensionHost, KernelProject
from kernels.projects import NEWEST, environment_with
from tool_helpers import wait_until

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
WHOLE = 12_000_000  # bytes of torch's large file
CURED = "Removed from the package cache"
SOME = ("conda-26.7.1", "mamba-2.0.5")


@dataclass(frozen=True)
class CondaProject:
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
        assert large.stat().st_size == WHOLE

    def kill_while_unpacking(self) -> None:
        """Empty the package cache, and kill a setup while torch is unpacked."""
        for _ in range(10):
            self._kill_once_unpacking()
            sizes = [path.stat().st_size for path in self.client.cache.glob(f"*/{LARGE_FILE}")]
            if WHOLE not in sizes:
                return
        raise AssertionError("every setup was killed too late")

    def _kill_once_unpacking(self) -> None:
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
            wait_until(is_unpacking)
        finally:
            assert setup.poll() is None
            os.killpg(setup.pid, signal.SIGKILL)
            setup.wait()


@pytest.fixture(params=CLIENTS)
def conda_project(
    request: pytest.FixtureRequest, bake: Bake, tmp_path: Path
) -> Iterator[CondaProject]:
    client = conda_client(request.param, tmp_path / "person")
    project = bake(tmp_path, python_version=THIS_PYTHON, copied=True)
    own = f'[environment]\nmanager = "{client.program}"\n'
    (project.path / "lab.local.toml").write_text(own)
    shutil.rmtree(project.path / "labs")
    install_far(project)
    made = CondaProject(project, client)
    made.list()
    yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.slow
def test_environment_is_made_and_changed_and_never_lost(conda_project: CondaProject) -> None:
    made = conda_project.make()
    assert f"Manager: {conda_project.client.program}" in made
    assert "The environment is complete: Python" in made
    conda_project.check_whole()
    assert conda_project.project.run(conda_project.environment / "bin" / "dot").stdout.startswith(
        "dot"
    )
    assert "up to date" in conda_project.make()
    first = conda_project.environment
    if conda_project.client.name in SOME:
        check_kernel_outlives_its_window(conda_project)
    # A program that somebody has removed is missed: Python knows nothing of it.
    (gone,) = (first / "conda-meta").glob("graphviz-*.json")
    gone.rename(gone.with_suffix(".aside"))
    assert "not up to date: graphviz is missing" in conda_project.set_up("--check").stdout
    gone.with_suffix(".aside").rename(gone)

    conda_project.list("  - timm", "  - tqdm>=4.66")
    conda_project.make()
    assert conda_project.environment != first
    assert not first.exists()
    assert {"timm", "tqdm"} <= installed(conda_project.environment)

    conda_project.list("  - no-such-thing>=1")
    for _ in range(2):
        error = conda_project.refuse()
        assert "no package that fits no-such-thing>=1" in error
        assert "lab remove no-such-thing" in error

    is_conda = conda_project.client.program == "conda"
    if is_conda:
        (conda_project.client.home / ".condarc").write_text("channels: [\n")
        assert "~/.condarc is not valid YAML" in conda_project.refuse()
        (conda_project.client.home / ".condarc").unlink()

    conda_project.list("  - tqdm")
    conda_project.kill_while_unpacking()
    conda_project.check_whole()
    after = conda_project.make()
    assert (CURED in after) == is_conda
    conda_project.check_whole()
    assert "timm" not in installed(conda_project.environment)

    # As a kill inside the last file leaves it; a warning is all that conda has for that.
    (large,) = conda_project.client.cache.glob(f"*/{LARGE_FILE}")
    large.unlink()
    large.write_bytes(b"short")
    conda_project.list()
    assert (CURED in conda_project.make()) == is_conda
    conda_project.check_whole()


@pytest.mark.slow
@pytest.mark.parametrize("conda_project", SOME, indirect=True)
def test_card_build_is_kept_and_lock_is_followed(conda_project: CondaProject) -> None:
    # As installers leave it: not on PATH, and named in ~/.bashrc only.
    conda_project = replace(
        conda_project, client=replace(conda_project.client, programs=Path("/nowhere"))
    )
    program = programs_of(conda_project.client.name) / conda_project.client.program
    (conda_project.client.home / ".bashrc").write_text(
        f"eval \"$('{program}' 'shell.bash' 'hook')\"\n"
    )
    own = conda_project.project.path / "lab.local.toml"
    without_choice = own.read_text()
    own.write_text(f'{without_choice}torch = "cu126"\n')
    conda_project.make()
    assert "pytorch-2.9.0-cuda126_0" in builds(conda_project.environment)
    lock = conda_project.project.path / ".lab" / "conda-linux-64.lock"
    assert "# card: 12.6\n" in lock.read_text()

    # Without the choice it stays, though this machine has no card; so does the version of ruff.
    own.write_text(without_choice)
    conda_project.list("  - timm", ruff="ruff>=0.8")
    conda_project.make()
    kept = {"pytorch-2.9.0-cuda126_0", "ruff-0.13-0", "timm-1.0-0"}
    assert kept <= builds(conda_project.environment)

    # A colleague's machine.
    shutil.copy(lock, conda_project.project.path)
    shutil.rmtree(conda_project.project.path / ".lab" / "envs")
    (conda_project.project.path / ".venv").unlink()
    own.write_text(f'{without_choice}torch = "cu126"\n')
    assert "Versions come from conda-linux-64.lock" in conda_project.make()
    assert kept <= builds(conda_project.environment)

    # Where no link can be, as in a dev container.
    before = conda_project.environment
    conda_project.list(ruff="ruff>=0.8")
    conda_project.make(LAB_CHANGE_IN_PLACE="1")
    assert conda_project.environment == before
    assert builds(conda_project.environment) >= {"pytorch-2.9.0-cuda126_0", "ruff-0.13-0"}
    assert "timm-1.0-0" not in builds(conda_project.environment)

    own.write_text(f'{without_choice}torch = "cpu"\n')
    assert "is for machines with a card" in conda_project.make()
    assert "pytorch-2.9.0-cpu_0" in builds(conda_project.environment)

    # The newest versions, for `lab lock --upgrade`.
    conda_project.list(ruff="ruff<0.14")
    conda_project.make()
    conda_project.list(ruff="ruff>=0.8")
    conda_project.make()
    assert "ruff-0.13-0" in builds(conda_project.environment)
    conda_project.make(LAB_UPGRADE="1")
    assert "ruff-0.13-0" not in builds(conda_project.environment)


@pytest.mark.slow
@pytest.mark.parametrize("conda_project", SOME, indirect=True)
def test_what_only_pypi_has_is_changed_and_removed_in_place(conda_project: CondaProject) -> None:
    wheels = conda_project.client.home / "wheels"
    for version in ("1.0", "2.0"):
        build_wheel(wheels, "only_on_pypi", version, needs="its_need")
    for name in ("its_need", "by_hand"):
        build_wheel(wheels, name, "1.0")
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    in_place = {**index, "LAB_CHANGE_IN_PLACE": "1"}

    def pip(*words: str) -> str:
        command = (".venv/bin/python", "-m", "pip", *words)
        return conda_project.project.run(
            *command, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels)
        ).stdout

    def versions() -> dict[str, str]:
        lines = pip("list", "--format=freeze").splitlines()
        return dict(line.split("==") for line in lines if "==" in line)

    conda_project.list()
    conda_project.make(**index)
    before = conda_project.environment
    conda_project.list("  - pip:", "      - only-on-pypi<2")
    conda_project.make(**in_place)
    assert (versions()["only_on_pypi"], versions()["its_need"]) == ("1.0", "1.0")
    pip("install", "by-hand")
    of_conda = builds(conda_project.environment)

    # Another version, in a list from Windows; then one that does not exist, which changes nothing.
    conda_project.list("  - pip:", "      - only-on-pypi>=2")
    listed = conda_project.project.path / "environment.yml"
    listed.write_bytes(listed.read_bytes().replace(b"\n", b"\r\n"))
    conda_project.make(**in_place)
    assert versions()["only_on_pypi"] == "2.0"
    assert "up to date" in conda_project.make(**in_place)
    conda_project.list("  - pip:", "      - only-on-pypi>=3")
    failed = conda_project.set_up(**in_place)
    assert failed.returncode == 1, failed.stdout
    assert "only-on-pypi" in failed.stderr.partition("Error: ")[2]
    assert versions()["only_on_pypi"] == "2.0"
    conda_project.check_whole()

    # What left the section goes, with what only that needed; what somebody has added stays.
    conda_project.list()
    assert "Removing what the lists no longer ask for" in conda_project.make(**in_place)
    kept = versions()
    assert "by_hand" in kept
    assert not {"only_on_pypi", "its_need"} & kept.keys()
    assert builds(conda_project.environment) == of_conda
    assert conda_project.environment == before
    conda_project.check_whole()


@pytest.mark.slow
@pytest.mark.parametrize("conda_project", SOME, indirect=True)
def test_script_alone_makes_an_environment_and_adds_to_it(conda_project: CondaProject) -> None:
    shutil.rmtree(conda_project.project.path / ".lab")
    shutil.rmtree(conda_project.project.path / "scripts" / "sync_pairs.py", ignore_errors=True)
    for name in ("environment.yml", "pyproject.toml", "lab.local.toml"):  # from a Windows laptop
        path = conda_project.project.path / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    made = conda_project.make()
    assert f"Manager: {conda_project.client.program}. This script alone changes" in made
    conda_project.check_whole()
    conda_project.list("  - timm")
    conda_project.make()
    assert "timm" in installed(conda_project.environment)
    check_list_by_hand(conda_project)


def check_kernel_outlives_its_window(conda_project: CondaProject) -> None:
    """Open a window twice: ipykernel, which the channel does not have, comes from elsewhere."""
    (shared,) = environment_with("newest", NEWEST).glob("lib/python3*/site-packages")
    (folder,) = (
        path
        for path in conda_project.environment.glob("lib/python3*/site-packages")
        if path.is_dir()
    )
    (folder / "layer.pth").write_text(f"{shared}\n")
    (conda_project.project.path / "labs").mkdir()
    project = KernelProject(
        conda_project.project, conda_project.project.path / ".venv" / "bin" / "python"
    )
    lab, folder_of_host = project.lab("conda"), conda_project.client.home
    for code, seen in (("x = 'kept'", ""), ("x", "kept")):
        host = ExtensionHost(project, folder_of_host)
        host.open(lab)
        assert seen in host.run(code).text
        host.kill()
    assert project.kernel("conda").python == str(conda_project.environment / "bin" / "python")
    project.end_kernels()
    shutil.rmtree(conda_project.project.path / "labs")
    (folder / "layer.pth").unlink()


def check_list_by_hand(conda_project: CondaProject) -> None:
    """Make an environment as people do without any script, what only PyPI has included."""
    build_wheel(conda_project.client.home / "wheels", "only_on_pypi", "1.0")
    conda_project.list("  - pip:", "      - only-on-pypi>=1.0")
    prefix = conda_project.client.home / "by-hand"
    yes = [] if conda_project.client.program == "conda" else ["--yes"]
    listed = conda_project.project.path / "environment.yml"
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(conda_project.client.home / "wheels")}
    conda_project.client.run("env", "create", *yes, "-p", prefix, "-f", listed, variables=index)
    conda_project.project.run(prefix / "bin" / "python", "-c", "import torch, only_on_pypi")


def builds(prefix: Path) -> set[str]:
    """Return name, version and build of each package."""
    return {path.stem for path in (prefix / "conda-meta").glob("*.json")}


def installed(prefix: Path) -> set[str]:
    """Return the names of the packages."""
    return {build.rsplit("-", 2)[0] for build in builds(prefix)}
