"""What the generated workflow and pre-commit run, run here literally and in clean environments."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import BakedProject
from conftest import Bake
from environment import LabEnvironment
from workflows import check_workflow

pytestmark = pytest.mark.slow

WORKFLOW = ".github/workflows/ci.yml"
HEADER = """# %% [markdown]
# # A lab

# %%
"""


def steps(project: BakedProject, job: str) -> list[dict[str, Any]]:
    """Return the steps of a job that run something."""
    workflow = yaml.safe_load(project.read(WORKFLOW))
    return [step for step in workflow["jobs"][job]["steps"] if "run" in step]


def run_step(project: BakedProject, script: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does, where nothing of ours can be imported."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LAB_TOOL")}
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=project.path,
        env={**inherited, "CI": "true", "GITHUB_ACTIONS": "true"},
        capture_output=True,
        text=True,
    )


def test_lint_job_passes_in_a_fresh_clone_without_an_environment(bake: Bake) -> None:
    project = bake()
    check_workflow(project.path / WORKFLOW)
    commands = [step["run"] for step in steps(project, "lint")]
    assert commands == ["uvx ruff check", "uvx ruff format --diff", "uvx mypy"]
    for command in commands:
        done = run_step(project, command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert not (project.path / ".venv").exists()


def test_hooks_before_a_commit_pass_and_change_nothing(bake: Bake, tmp_path: Path) -> None:
    project = bake()
    hooks = f"PRE_COMMIT_HOME='{tmp_path}/pre-commit' uvx pre-commit run --all-files"
    done = run_step(project, hooks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed") == 3
    assert project.run("git", "status", "--porcelain").stdout == ""


@pytest.fixture
def ready(bake: Bake, environment: LabEnvironment) -> BakedProject:
    """Return a project with the shared environment, and one lab that counts."""
    project = bake()
    (project.path / ".venv").symlink_to(environment.python.parent.parent)
    (project.path / ".lab").mkdir()
    (project.path / ".lab" / "far").symlink_to(environment.project.path / ".lab" / "far")
    for lab in (project.path / "labs").iterdir():
        lab.unlink()
    (project.path / "labs" / "countlab.py").write_text(HEADER + "print(1 + 1)\n")
    return project


def run_labs(project: BakedProject) -> subprocess.CompletedProcess[str]:
    (script,) = (step["run"] for step in steps(project, "labs") if step["run"].endswith(" labs"))
    return run_step(project, script)


def test_labs_whose_data_is_not_in_git_are_named_and_do_not_fail(ready: BakedProject) -> None:
    labs = ready.path / "labs"
    (labs / "birdlab.py").write_text(HEADER + "open('data/birds.csv')\n")
    raising = f"from {ready.package}.data import DataError\nraise DataError('No network.')\n"
    (labs / "teelab.py").write_text(HEADER + raising)
    done = run_labs(ready)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("birdlab", "teelab"):
        assert f"::notice file=labs/{name}.py::Skipped: its data" in done.stdout
    assert "All cells of countlab.py ran" in done.stdout


def test_lab_that_is_wrong_fails_although_others_lack_their_data(ready: BakedProject) -> None:
    labs = ready.path / "labs"
    (labs / "a_lab.py").write_text(HEADER + "1 / 0\n")
    (labs / "birdlab.py").write_text(HEADER + "open('data/birds.csv')\n")
    (labs / "_module.py").write_text("1 / 0\n")
    done = run_labs(ready)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout + done.stderr
    assert "Failed: labs/a_lab.py\n" in done.stderr
    assert "All cells of countlab.py ran" in done.stdout


def test_no_job_of_the_workflow_names_a_lab(default_project: BakedProject) -> None:
    text = default_project.read(WORKFLOW)
    assert text.count(".lab/far/current labs\n") == 3
    assert "labs/" not in text


def test_pairs_are_in_step_as_the_workflow_sees_them(
    bake: Bake, environment: LabEnvironment
) -> None:
    project = bake()
    (project.path / ".venv").symlink_to(environment.python.parent.parent)
    (script,) = (step["run"] for step in steps(project, "labs") if "sync_pairs" in step["run"])
    done = run_step(project, script)
    assert done.returncode == 0, done.stdout + done.stderr
