"""Script and notebook of a lab: shipped equal, kept in step, and neither ever lost."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from baking import (
    TEMPLATE_ROOT,
    BakedProject,
    environment_variables,
    project_in,
)
from conftest import Bake
from jupytext import jupytext

LABS = sorted(
    path.stem for path in (TEMPLATE_ROOT / "{{cookiecutter.project_slug}}" / "labs").glob("*.py")
)
SEED = "seed = 0 "


def later(*values: object) -> object:
    """Return a further case of a kind, for the slow tests."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="session")
def in_step(
    default_project: BakedProject, tmp_path_factory: pytest.TempPathFactory
) -> BakedProject:
    """Return a project whose pairs are in step and remembered, to copy."""
    folder = tmp_path_factory.mktemp("in-step") / "project"
    project = project_in(shutil.copytree(default_project.path, folder, symlinks=True))
    assert sync(project).returncode == 0
    return project


@pytest.fixture
def project(in_step: BakedProject, tmp_path: Path) -> BakedProject:
    """Return a copy of that project."""
    return project_in(shutil.copytree(in_step.path, tmp_path / "project", symlinks=True))


def sync(
    project: BakedProject, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the project's script in this process, where jupytext is loaded, and return the outcome.

    The test below, those with pre-commit and those of setup-environment.sh start it as a program.
    """
    script = project.path / "scripts" / "sync_pairs.py"
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(project.path),
        environment_variables(variables),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = runpy.run_path(str(script))["main"](list(arguments))
    return subprocess.CompletedProcess([], code, out.getvalue(), err.getvalue())


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
    assert notebook.metadata.kernelspec.name == "python3"
    assert "kernelspec" not in from_script.metadata
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_pair_that_is_in_step_is_not_touched(project: BakedProject) -> None:
    before = {path: path.read_bytes() for path in (script_of(project), notebook_of(project))}
    assert "in step" in project.run(sys.executable, "scripts/sync_pairs.py").stdout
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


@pytest.mark.slow
def test_outputs_stay_when_the_script_changes(project: BakedProject) -> None:
    notebook = nbformat.read(notebook_of(project), as_version=4)
    (cell,) = [cell for cell in notebook.cells if "class_counts" in cell.source]
    cell.outputs = [nbformat.v4.new_output("stream", text="seen")]
    nbformat.write(notebook, notebook_of(project))
    replace(script_of(project), SEED, "seed = 5 ")
    assert "the script was changed" in sync(project).stdout
    after = nbformat.read(notebook_of(project), as_version=4)
    (cell,) = [cell for cell in after.cells if "class_counts" in cell.source]
    assert cell.outputs[0].text == "seen"


@pytest.mark.slow
def test_running_a_notebook_is_no_change_to_its_script(project: BakedProject) -> None:
    notebook = nbformat.read(notebook_of(project), as_version=4)
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="seen")]
    notebook.cells[2].execution_count = 7
    nbformat.write(notebook, notebook_of(project))
    assert "in step" in sync(project).stdout
    assert project.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize("remembered", [True, later(False)])
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


@pytest.mark.parametrize(
    ("keep", "seed"), [("script", "seed = 5 "), later("notebook", "seed = 6 ")]
)
def test_person_decides_which_change_counts(project: BakedProject, keep: str, seed: str) -> None:
    replace(script_of(project), SEED, "seed = 5 ")
    replace(notebook_of(project), SEED, "seed = 6 ")
    assert sync(project, "labs/mnistlab.py", "--keep", keep).returncode == 0
    assert seed in script_of(project).read_text(encoding="utf-8")
    assert seed in notebook_of(project).read_text(encoding="utf-8")
    assert sync(project).returncode == 0


@pytest.mark.parametrize("changed", ["script", later("notebook")])
def test_fresh_clone_knows_from_git_which_one_was_changed(bake: Bake, changed: str) -> None:
    project = bake(copied=True)
    path = script_of(project) if changed == "script" else notebook_of(project)
    replace(path, SEED, "seed = 5 ")
    assert f"the {changed} was changed" in sync(project).stdout


@pytest.mark.slow
def test_missing_notebook_is_made_the_same_as_the_shipped_one(project: BakedProject) -> None:
    before = notebook_of(project).read_bytes()
    notebook_of(project).unlink()
    assert "its notebook was made" in sync(project, "--missing").stdout
    assert notebook_of(project).read_bytes() == before


@pytest.mark.slow
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


@pytest.mark.parametrize("half", ["labs/mnistlab.ipynb", later("labs/mnistlab.py")])
def test_either_half_may_be_named(project: BakedProject, half: str) -> None:
    replace(notebook_of(project), SEED, "seed = 5 ")
    assert "the notebook was changed" in sync(project, half).stdout
    assert "seed = 5 " in script_of(project).read_text(encoding="utf-8")


def broken(project: BakedProject, name: str, half: str, content: bytes) -> Path:
    """Make a pair with a half that cannot be read, and return that half."""
    script = project.path / "labs" / f"{name}.py"
    script.write_text("# %%\nprint(1)\n")
    path = script.with_suffix(half)
    path.write_bytes(content)
    return path


@pytest.mark.slow
def test_bad_pair_is_told_in_a_sentence_and_the_others_are_brought_in_step(
    project: BakedProject,
) -> None:
    shutil.copy(notebook_of(project), project.path / "labs" / "empty-script.ipynb")
    bad = {
        broken(project, "empty", ".ipynb", b""): "is empty",
        broken(project, "json", ".ipynb", b'{"cells": ['): "is damaged",
        broken(project, "list", ".ipynb", b"[]"): "is damaged",
        broken(project, "no-cells", ".ipynb", b"{}"): "is damaged",
        broken(project, "cell", ".ipynb", b'{"cells": [1], "nbformat": 4}'): "is damaged",
        broken(project, "deep", ".ipynb", b"[" * 100_000): "is damaged",
        broken(project, "latin", ".ipynb", b"\xff"): "is damaged",
        broken(project, "latin1", ".py", b"# %%\n# caf\xe9\n"): "is not UTF-8",
        broken(project, "empty-script", ".py", b" \n"): "is empty",
    }
    (project.path / "labs" / "folder.py").mkdir()
    (project.path / "labs" / "dangling.py").symlink_to("nowhere")
    replace(script_of(project), SEED, "seed = 5 ")
    before = {path: path.read_bytes() for path in bad}
    done = sync(project)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for path, words in bad.items():
        (line,) = [line for line in done.stderr.splitlines() if f"{path.stem}.py " in line]
        assert words in line
    assert "folder.py" in done.stderr
    assert "dangling.py" in done.stderr
    assert "seed = 5 " in notebook_of(project).read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in bad} == before
    assert "No such file" in sync(project, "labs/none.ipynb", "/nowhere/x.py").stderr


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", later(b"")])
@pytest.mark.parametrize("end", [b"\r\n", later(b"\n")])
def test_byte_order_mark_and_line_ends_stay(project: BakedProject, mark: bytes, end: bytes) -> None:
    plain = script_of(project).read_bytes()
    script_of(project).write_bytes(mark + plain.replace(b"\n", end))
    assert "in step" in sync(project).stdout
    replace(notebook_of(project), SEED, "seed = 5 ")
    assert "the notebook was changed" in sync(project).stdout
    changed = plain.replace(SEED.encode(), b"seed = 5 ")
    assert script_of(project).read_bytes() == mark + changed.replace(b"\n", end)


def name_kernel(project: BakedProject) -> bytes:
    """Write into the notebook what VS Code writes, and return the notebook."""
    notebook = nbformat.read(notebook_of(project), as_version=4)
    notebook.metadata.kernelspec = {
        "display_name": ".venv (3.12.3)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12.3"}
    nbformat.write(notebook, notebook_of(project))
    return notebook_of(project).read_bytes()


@pytest.mark.parametrize("header", [True, later(False)])
def test_kernel_is_neither_compared_nor_carried_over(project: BakedProject, header: bool) -> None:
    if header:  # of a project of before
        mark = "#       format_version: '1.3'\n"
        spec = "#   kernelspec:\n#     display_name: Python 3\n#     name: python3\n"
        replace(script_of(project), mark, mark + spec)
    before = script_of(project).read_text(encoding="utf-8")
    assert "in step" in sync(project).stdout
    named = name_kernel(project)
    assert "labs/mnistlab.py: in step" in sync(project).stdout
    assert script_of(project).read_text(encoding="utf-8") == before
    assert notebook_of(project).read_bytes() == named
    replace(script_of(project), SEED, "seed = 5 ")
    assert "the script was changed" in sync(project).stdout
    assert ".venv (3.12.3)" in notebook_of(project).read_text(encoding="utf-8")
    replace(notebook_of(project), "seed = 5 ", "seed = 6 ")
    assert "the notebook was changed" in sync(project).stdout
    assert script_of(project).read_text(encoding="utf-8") == before.replace(SEED, "seed = 6 ")


@pytest.mark.parametrize(
    "memory", ["[]", later('{"labs/mnistlab.py": 1}'), later('{"labs/mnistlab.py": {}}')]
)
def test_memory_of_another_kind_is_no_reason_to_stop(project: BakedProject, memory: str) -> None:
    (project.path / ".lab" / "pairs.json").write_text(memory)
    replace(notebook_of(project), SEED, "seed = 5 ")
    assert "the notebook was changed" in sync(project).stdout


def in_commit(project: BakedProject) -> subprocess.CompletedProcess[str]:
    """Run it as pre-commit does."""
    return sync(project, PRE_COMMIT="1")


@pytest.mark.parametrize("staged", ["nothing", later("the script")])
@pytest.mark.parametrize("changed", ["notebook", later("script"), "both"])
def test_inside_a_commit_nothing_is_written(
    project: BakedProject, changed: str, staged: str
) -> None:
    memory = project.path / ".lab" / "pairs.json"
    if changed != "notebook":
        replace(script_of(project), SEED, "seed = 5 ")
    if changed != "script":
        replace(notebook_of(project), SEED, "seed = 6 ")
    if staged == "the script":
        project.run("git", "add", "labs/mnistlab.py")
    before = {
        path: path.read_bytes() for path in (script_of(project), notebook_of(project), memory)
    }
    done = in_commit(project)
    assert done.returncode == (0 if changed == "script" else 1)
    if changed != "script":
        assert "edits that this commit would leave out" in done.stderr
    assert {path: path.read_bytes() for path in before} == before
    said = sync(project)
    assert "were both changed" in said.stderr if changed == "both" else said.returncode == 0


@pytest.mark.slow
def test_commit_with_edits_put_aside_loses_none(project: BakedProject) -> None:
    project.run(sys.executable, "-m", "pre_commit", "install")
    replace(script_of(project), SEED, "seed = 5 ")
    replace(notebook_of(project), SEED, "seed = 6 ")
    (project.path / "LICENSE").write_text("Mine\n")
    project.run("git", "add", "LICENSE")
    before = {path: path.read_bytes() for path in (script_of(project), notebook_of(project))}
    stopped = project.run("git", "commit", "--message", "A licence", check=False)
    assert stopped.returncode == 1
    assert "edits that this commit would leave out" in stopped.stdout + stopped.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert "were both changed" in sync(project).stderr


@pytest.mark.slow
def test_jupytexts_own_sync_carries_no_kernel_over(project: BakedProject) -> None:
    before = script_of(project).read_text(encoding="utf-8")
    name_kernel(project)
    replace(notebook_of(project), SEED, "seed = 5 ")
    project.run(sys.executable, "-m", "jupytext", "--sync", "labs/mnistlab.ipynb")
    assert script_of(project).read_text(encoding="utf-8") == before.replace(SEED, "seed = 5 ")
    assert ".venv (3.12.3)" in notebook_of(project).read_text(encoding="utf-8")
    assert sync(project).returncode == 0


@pytest.mark.slow
def test_commit_waits_for_the_edits_of_a_notebook(project: BakedProject) -> None:
    project.run(sys.executable, "-m", "pre_commit", "install")
    replace(notebook_of(project), SEED, "seed = 5 ")
    before = script_of(project).read_bytes()
    stopped = project.run("git", "commit", "--allow-empty", "--message", "A new seed", check=False)
    assert stopped.returncode == 1
    assert "scripts/sync_pairs.py labs/mnistlab.py" in stopped.stdout + stopped.stderr
    assert script_of(project).read_bytes() == before
    assert sync(project).returncode == 0
    project.run("git", "commit", "--all", "--message", "A new seed")
    assert "seed = 5 " in project.run("git", "show", "HEAD").stdout
