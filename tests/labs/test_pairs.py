"""Script and notebook of a lab: shipped equal, kept in step, and neither ever lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from baking import TEMPLATE_ROOT, BakedProject, bake_project, project_in
from conftest import Bake
from jupytext import jupytext

LABS = sorted(
    path.stem for path in (TEMPLATE_ROOT / "{{cookiecutter.project_slug}}" / "labs").glob("*.py")
)
SEED = "seed = 0 "


@pytest.fixture(scope="session")
def in_step(tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """A project whose pairs are in step and remembered, to copy."""
    folder = tmp_path_factory.mktemp("in-step")
    project = bake_project(folder / "project", home=folder / "home")
    assert sync(project).returncode == 0
    return project


@pytest.fixture
def project(in_step: BakedProject, tmp_path: Path) -> BakedProject:
    """A copy of it."""
    return project_in(shutil.copytree(in_step.path, tmp_path / "project", symlinks=True))


def sync(project: BakedProject, *arguments: str) -> subprocess.CompletedProcess[str]:
    return project.run(sys.executable, "scripts/sync_pairs.py", *arguments, check=False)


def script_of(project: BakedProject) -> Path:
    return project.path / "labs" / "mnistlab.py"


def notebook_of(project: BakedProject) -> Path:
    return project.path / "labs" / "mnistlab.ipynb"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("lab", LABS)
def test_every_lab_is_run_by_a_test_of_its_own(lab: str) -> None:
    assert (Path(__file__).parent / f"test_{lab}.py").is_file()


@pytest.mark.parametrize("lab", LABS)
def test_shipped_pair_is_equal(default_project: BakedProject, lab: str) -> None:
    script = default_project.path / "labs" / f"{lab}.py"
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    from_script = jupytext.read(script)
    assert [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells] == [
        (cell.cell_type, cell.source, cell.metadata) for cell in from_script.cells
    ]
    assert notebook.metadata.kernelspec == from_script.metadata.kernelspec
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_pair_that_is_in_step_is_not_touched(project: BakedProject) -> None:
    before = {path: path.read_bytes() for path in (script_of(project), notebook_of(project))}
    assert "in step" in sync(project).stdout
    assert {path: path.read_bytes() for path in before} == before


def test_changed_script_reaches_the_notebook(project: BakedProject) -> None:
    replace(script_of(project), SEED, "seed = 5 ")
    assert "the script was changed" in sync(project).stdout
    assert "seed = 5 " in notebook_of(project).read_text(encoding="utf-8")


def test_changed_notebook_reaches_the_script_and_changes_that_line_only(
    project: BakedProject,
) -> None:
    before = script_of(project).read_text(encoding="utf-8")
    replace(notebook_of(project), SEED, "seed = 5 ")
    assert "the notebook was changed" in sync(project).stdout
    assert script_of(project).read_text(encoding="utf-8") == before.replace(SEED, "seed = 5 ")


def test_outputs_stay_when_the_script_changes(project: BakedProject) -> None:
    notebook = nbformat.read(notebook_of(project), as_version=4)
    (cell,) = [cell for cell in notebook.cells if "digit_counts" in cell.source]
    cell.outputs = [nbformat.v4.new_output("stream", text="seen")]
    nbformat.write(notebook, notebook_of(project))
    replace(script_of(project), SEED, "seed = 5 ")
    assert "the script was changed" in sync(project).stdout
    after = nbformat.read(notebook_of(project), as_version=4)
    (cell,) = [cell for cell in after.cells if "digit_counts" in cell.source]
    assert cell.outputs[0].text == "seen"


def test_running_a_notebook_is_no_change_to_its_script(project: BakedProject) -> None:
    notebook = nbformat.read(notebook_of(project), as_version=4)
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="seen")]
    notebook.cells[2].execution_count = 7
    nbformat.write(notebook, notebook_of(project))
    assert "in step" in sync(project).stdout
    assert project.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize("remembered", [True, False])
def test_both_changed_is_told_and_both_stay_byte_for_byte(
    project: BakedProject, remembered: bool
) -> None:
    replace(script_of(project), SEED, "seed = 5 ")
    replace(notebook_of(project), SEED, "seed = 6 ")
    if not remembered:
        (project.path / ".lab" / "pairs.json").unlink()
    before = {path: path.read_bytes() for path in (script_of(project), notebook_of(project))}
    done = sync(project)
    assert done.returncode == 1
    assert "were both changed" in done.stderr
    assert "--keep script" in done.stderr
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(("keep", "seed"), [("script", "seed = 5 "), ("notebook", "seed = 6 ")])
def test_person_decides_which_change_counts(project: BakedProject, keep: str, seed: str) -> None:
    replace(script_of(project), SEED, "seed = 5 ")
    replace(notebook_of(project), SEED, "seed = 6 ")
    assert sync(project, "labs/mnistlab.py", "--keep", keep).returncode == 0
    assert seed in script_of(project).read_text(encoding="utf-8")
    assert seed in notebook_of(project).read_text(encoding="utf-8")
    assert sync(project).returncode == 0


@pytest.mark.parametrize("changed", ["script", "notebook"])
def test_fresh_clone_knows_from_git_which_one_was_changed(bake: Bake, changed: str) -> None:
    project = bake(copied=True)
    path = script_of(project) if changed == "script" else notebook_of(project)
    replace(path, SEED, "seed = 5 ")
    assert f"the {changed} was changed" in sync(project).stdout


def test_missing_notebook_is_made_the_same_as_the_shipped_one(project: BakedProject) -> None:
    before = notebook_of(project).read_bytes()
    notebook_of(project).unlink()
    assert "its notebook was made" in sync(project, "--missing").stdout
    assert notebook_of(project).read_bytes() == before


def test_memory_that_cannot_be_read_is_no_reason_to_stop(project: BakedProject) -> None:
    (project.path / ".lab" / "pairs.json").write_text("{broken")
    assert sync(project).returncode == 0
    assert "labs/mnistlab.py" in json.loads(project.read(".lab/pairs.json"))


@pytest.mark.slow
def test_jupytexts_own_sync_leaves_the_same_script(project: BakedProject) -> None:
    before = script_of(project).read_text(encoding="utf-8")
    replace(notebook_of(project), SEED, "seed = 5 ")
    project.run(sys.executable, "-m", "jupytext", "--sync", "labs/mnistlab.ipynb")
    assert script_of(project).read_text(encoding="utf-8") == before.replace(SEED, "seed = 5 ")
    assert sync(project).returncode == 0


@pytest.mark.slow
def test_commit_brings_the_pair_in_step(project: BakedProject) -> None:
    project.run(sys.executable, "-m", "pre_commit", "install")
    replace(notebook_of(project), SEED, "seed = 5 ")
    stopped = project.run("git", "commit", "--allow-empty", "--message", "A new seed", check=False)
    assert stopped.returncode == 1
    assert "files were modified by this hook" in stopped.stdout + stopped.stderr
    assert "seed = 5 " in script_of(project).read_text(encoding="utf-8")
    project.run("git", "commit", "--all", "--message", "A new seed")
    assert "seed = 5 " in project.run("git", "show", "HEAD").stdout
