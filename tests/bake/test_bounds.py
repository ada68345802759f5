"""The lower bounds of a project's packages: the oldest versions that they allow work together."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import session_fixtures
from baking import BakedProject
from conftest import Bake
from environment import LabEnvironment
from packaging.requirements import Requirement
from session_kernel import FORK, Kernel
from workflows import check_workflow

from ml_remote.far import installed

# They are large. The generated workflow installs them; here their sources are looked at.
LARGE = ("torch", "torchvision")
PROGRAMS = ("jupytext", "papermill")
MODULES = ("graphviz", "ipywidgets", "pandas", "psutil", "seaborn")

PRINT = f"""
import ipykernel, jupyterlab
{FORK}
print(ipykernel.__version__, jupyterlab.__version__)
"""


def lists(project: BakedProject) -> list[Requirement]:
    text = (project.path / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    return [Requirement(line) for line in extras["lab"] + extras["dev"]]


def test_generated_workflow_runs_the_labs_with_the_lowest_versions(
    default_project: BakedProject,
) -> None:
    labs = check_workflow(default_project.path / ".github/workflows/ci.yml")["jobs"]["labs"]
    assert labs["strategy"]["matrix"]["resolution"] == ["highest", "lowest-direct"]
    assert labs["env"]["UV_RESOLUTION"] == "${{ matrix.resolution }}"
    # The lock has the highest, and would keep the lowest from being installed.
    assert any("rm -f requirements.lock" in step.get("run", "") for step in labs["steps"])


def test_torch_and_torchvision_have_bounds_of_one_release(default_project: BakedProject) -> None:
    bounds = {one.name: str(one.specifier) for one in lists(default_project)}
    # torch 2.7 is the first with `current_accelerator(check_available=...)`, which the labs call.
    assert (bounds["torch"], bounds["torchvision"]) == (">=2.7", ">=0.22")


@pytest.mark.slow
def test_lowest_versions_work_together(bake: Bake, tmp_path: Path) -> None:
    project = bake(tmp_path / "baked", copied=True)
    uv = str(Path(sys.executable).with_name("uv"))
    wanted = [str(one) for one in lists(project) if one.name not in LARGE]
    assert len(wanted) > 15
    subprocess.run(
        [uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True
    )
    python = tmp_path / "venv/bin/python"
    install = [uv, "pip", "install", "--quiet", "--resolution", "lowest-direct"]
    done = subprocess.run([*install, "--python", python, *wanted], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The program, too: up to 2.20 it needs pkg_resources, which new versions of setuptools lack.
    for name in ("tensorboard", *PROGRAMS):
        program = python.with_name(name)
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{name}: {done.stderr}"
    imports = "; ".join(f"import {name}" for name in MODULES)
    subprocess.run([python, "-c", imports], check=True)
    # Kernels of runs rest on parts of ipykernel that are not its interface.
    root = tmp_path / "project"
    (root / "labs").mkdir(parents=True)
    (root / "lab.toml").write_text('[remote]\nalias = "gpu"\nfolder = "project"\n')
    (root / "labs" / "a.py").write_text("# %%\nimport ipykernel\nprint(ipykernel.__version__)\n")
    far = installed.install(root / installed.FAR)
    command = [str(python), str(far), "headless", "labs/a.py"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (lowest,) = [one for one in lists(project) if one.name == "ipykernel"]
    assert str(lowest.specifier).removeprefix(">=") in done.stdout
    # ...and so do those of sessions, and JupyterLab.
    (project.path / ".venv").symlink_to(tmp_path / "venv")
    try:
        with session_fixtures.desk(LabEnvironment(project, "")) as desk:
            kernel = Kernel(desk.start("jupyter", "--no-browser").read_page())
            printed = kernel.run(PRINT, until="from the fork")
    finally:
        (project.path / ".venv").unlink()
    for name in ("ipykernel", "jupyterlab"):
        (one,) = [one for one in lists(project) if one.name == name]
        assert str(one.specifier).removeprefix(">=") in printed
