"""scripts/setup-environment.sh: complete, repeatable, and clear about what it cannot do."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest
from baking import THIS_PYTHON, BakedProject
from conftest import Bake
from environment import LabEnvironment
from environment_events import TORCH, build_wheel
from programs import path_without

SCRIPT = "scripts/setup-environment.sh"


def with_manager(project: BakedProject, manager: str) -> BakedProject:
    """Ask for a manager of environments, as the answer to that question does."""
    settings = project.path / "lab.toml"
    text = settings.read_text()
    assert 'manager = "auto"' in text
    settings.write_text(text.replace('manager = "auto"', f'manager = "{manager}"'))
    return project


def run_script(project: BakedProject, **variables: str) -> subprocess.CompletedProcess[str]:
    return project.run("sh", SCRIPT, check=False, **variables)


@pytest.mark.slow
def test_environment_is_complete_and_names_its_device(environment: LabEnvironment) -> None:
    assert re.search(r"torch \S+, running on ", environment.setup_output)
    again = run_script(environment.project)
    assert again.returncode == 0
    assert again.stdout.startswith("The environment is up to date: Python")
    assert re.search(r"torch \S+, running on ", again.stdout)


@pytest.mark.slow
def test_missing_notebook_is_made_again(environment: LabEnvironment) -> None:
    notebook = environment.project.path / "labs" / "mnistlab.ipynb"
    before = notebook.read_bytes()
    notebook.unlink()
    assert run_script(environment.project).returncode == 0
    assert notebook.read_bytes() == before


@pytest.mark.slow
def test_setup_killed_at_ten_random_moments_is_completed_by_the_next(
    bake: Bake, tmp_path: Path, environment: LabEnvironment
) -> None:
    project = bake(
        tmp_path / "a folder with spaces, é and {braces}",
        python_version=THIS_PYTHON,
        environment_manager="uv",
    )
    python = project.path / ".venv" / "bin" / "python"
    incomplete = project.path / ".lab" / "environment.incomplete"
    kills = 0
    moments = random.Random(0)
    for attempt in range(100):
        if kills == 10:
            break
        shell = ("dash", "bash")[attempt % 2]
        moment = moments.uniform(0, 8)  # seconds; most of a setup whose packages are in the cache
        setup = subprocess.Popen(
            [shell, SCRIPT],
            cwd=project.path,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert setup.wait(timeout=moment) == 0
            incomplete.touch()  # it was faster: have it begin again
        except subprocess.TimeoutExpired:
            os.killpg(setup.pid, signal.SIGKILL)
            setup.wait()
            kills += 1
        # What counts as complete is complete.
        if (project.path / ".venv" / "lab-environment.json").exists() and not incomplete.exists():
            project.run(python, "-c", "import torch")
    assert kills == 10
    completed = run_script(project)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert re.search("The environment is (complete|up to date): Python", completed.stdout)
    project.run(python, "-m", "pytest", "-q", "tests/test_project.py")
    assert "up to date" in run_script(project).stdout
    shutil.rmtree(project.path)  # a link and what it leads to, gigabytes


@pytest.fixture(scope="module")
def wheels(default_project: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a stand-in for each package of the lists, newer than the real one of gigabytes.

    hatchling, which installs the project itself, is the real one.
    """
    folder = tmp_path_factory.mktemp("wheels")
    lists = tomllib.loads(default_project.read("pyproject.toml"))["project"]
    for line in [name for names in lists["optional-dependencies"].values() for name in names]:
        name = re.split(r"[<>=~ ]", line)[0].replace("-", "_")
        if name != "hatchling":
            build_wheel(folder, name, "9999", TORCH if name == "torch" else "")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_plain_venv_and_pip_make_the_environment(
    bake: Bake, tmp_path: Path, wheels: Path, shell: str
) -> None:
    project = bake(tmp_path / "project", copied=True, python_version=THIS_PYTHON)
    (project.path / "lab.local.toml").open("a").write('[environment]\nmanager = "venv"\n')
    variables = {
        "PATH": path_without(tmp_path, "conda", "mamba", "micromamba", "uv"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(wheels),
        "LAB_MINIMUM_FREE_GB": "0",
    }
    made = project.run(shell, SCRIPT, check=False, **variables)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "Manager: venv" in made.stdout
    python = project.path / ".venv" / "bin" / "python"
    assert (project.path / ".venv" / "pyvenv.cfg").exists()
    where = f"import {project.package}; print({project.package}.__file__)"
    assert str(project.path / "src") in project.run(python, "-c", where, PYTHONPATH="").stdout
    assert "up to date" in project.run(shell, SCRIPT, check=False, **variables).stdout


def test_too_little_disk_is_told_before_anything_is_made(bake: Bake) -> None:
    project = with_manager(bake(copied=True), "uv")
    done = run_script(project, LAB_MINIMUM_FREE_GB="1000000")
    assert done.returncode == 1
    assert "needs 1000000 GB of disk" in done.stderr
    assert not (project.path / ".venv").exists()


def test_script_needs_no_home_directory(bake: Bake) -> None:
    project = with_manager(bake(copied=True), "nowhere")
    command = ["env", "-u", "HOME", "sh", SCRIPT]  # as in a service
    done = project.run(*command, check=False)
    assert done.stderr.startswith('Error: lab.toml says manager = "nowhere".')


def test_python_that_uv_cannot_bring_is_told(bake: Bake, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nexit 2\n")  # as uv does, without a word, where it may not download
    uv.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run_script(bake(copied=True), PATH=path, PYTHONPLATLIBDIR="nowhere")  # no Python runs
    assert done.returncode == 1
    assert done.stderr.startswith("Error: This machine has no Python 3.6 or newer that runs")


def test_lock_that_nobody_can_make_is_told(bake: Bake) -> None:
    project = bake(copied=True)
    for name in ("lab.local.toml", "lab.py"):  # no far half
        (project.path / name).unlink(missing_ok=True)
    (project.path / ".lab").symlink_to("/nowhere/disk")
    done = run_script(project, LAB_TOOL="")
    assert done.returncode == 1
    assert f"Error: {project.path}/.lab cannot be written." in done.stderr


def test_unknown_manager_is_refused(bake: Bake) -> None:
    done = run_script(with_manager(bake(copied=True), "poetry"))
    assert done.returncode == 1
    assert 'manager = "poetry"' in done.stderr
    assert "auto, conda, mamba, micromamba, uv or venv" in done.stderr


@pytest.mark.parametrize("manager", ["conda", "uv"])
def test_manager_that_is_not_installed_is_told(bake: Bake, tmp_path: Path, manager: str) -> None:
    project = with_manager(bake(copied=True), manager)
    path = path_without(tmp_path, "conda", "mamba", "micromamba", "uv")
    done = run_script(project, PATH=path, LAB_PROGRAM_FOLDERS="")
    assert done.returncode == 1
    assert f"lab.toml asks for {manager}" in done.stderr
    assert "Install" in done.stderr


def test_environment_of_somebody_else_is_kept(bake: Bake, tmp_path: Path) -> None:
    project = with_manager(bake(copied=True), "uv")
    (project.path / ".venv").mkdir()
    (project.path / ".venv" / "precious").write_text("mine")
    run_script(project, LAB_MINIMUM_FREE_GB="1000000")
    assert (project.path / ".venv" / "precious").read_text() == "mine"


@pytest.mark.parametrize("is_alone", [False, True], ids=["far half", "script alone"])
def test_second_setup_at_the_same_time_waits_for_a_while(bake: Bake, is_alone: bool) -> None:
    project = bake(copied=True)
    if is_alone:
        shutil.rmtree(project.path / ".lab", ignore_errors=True)
    lock = project.path / ".lab" / "environment.lock"
    lock.mkdir(parents=True)
    (lock / "owner").write_text(f"{os.getpid()} {os.uname().nodename}\n")
    done = run_script(project, LAB_WAIT_SECONDS="0")
    assert done.returncode == 1
    assert f"already running (process {os.getpid()}, since " in done.stderr
    assert lock.exists()
