"""The tabular lab: its pair, the ways to run it, and what a run leaves behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jupytext
import pytest
from baking import TEMPLATE_ROOT
from environment import LabEnvironment

LAB = TEMPLATE_ROOT / "{{cookiecutter.project_slug}}" / "labs" / "treelab.py"
FIGURES = {
    "confusion-matrix.png",
    "distributions.png",
    "importances.png",
    "learning-curves.png",
    "mistakes.png",
    "tree.png",
}
HELPERS = ["tests/test_preprocessing.py", "tests/test_trees.py", "tests/test_colormaps.py"]


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return content


def outputs(notebook: Path) -> list[Any]:
    cells = jupytext.read(notebook).cells
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def test_notebook_that_is_shipped_equals_the_script() -> None:
    script, notebook = jupytext.read(LAB), jupytext.read(LAB.with_suffix(".ipynb"))
    in_script, in_notebook = (
        [(cell.cell_type, cell.source, cell.metadata.get("tags")) for cell in one.cells]
        for one in (script, notebook)
    )
    assert in_script == in_notebook
    assert script.metadata.kernelspec == notebook.metadata.kernelspec
    assert not outputs(LAB.with_suffix(".ipynb"))


@pytest.fixture(scope="module")
def script_run(environment: LabEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of `python labs/treelab.py`, without a display."""
    folder = tmp_path_factory.mktemp("script")
    environment.project.run(
        environment.python, "labs/treelab.py", LAB_OUTPUT_DIR=str(folder), DISPLAY=""
    )
    return folder


@pytest.mark.slow
def test_script_leaves_figures_metrics_and_mistakes(script_run: Path) -> None:
    found = {path.name for path in script_run.iterdir()}
    assert found == FIGURES | {"metrics.json", "mistakes.csv"}
    result = metrics(script_run)
    assert result["accuracy"] > max(0.9, result["baseline"])
    assert sum(map(sum, result["confusion_matrix"])) == 143
    header, *rows = (script_run / "mistakes.csv").read_text(encoding="utf-8").splitlines()
    assert header.startswith("index,")
    assert header.endswith(",known,predicted,confidence,verdict")
    assert [int(row.split(",")[0]) for row in rows] == result["misclassified"]
    assert len(rows) == round(143 * (1 - result["accuracy"]))


@pytest.mark.slow
def test_papermill_and_the_notebook_find_what_the_script_finds(
    environment: LabEnvironment, script_run: Path, tmp_path: Path
) -> None:
    headless, notebook = tmp_path / "headless", tmp_path / "notebook"
    environment.project.run(
        environment.python,
        *("-m", f"{environment.project.package}.headless", "labs/treelab.py"),
        LAB_OUTPUT_DIR=str(headless),
    )
    environment.project.run(
        environment.python,
        *("-m", "nbconvert", "--to", "notebook", "--execute", "labs/treelab.ipynb"),
        *("--output-dir", str(notebook)),
        LAB_OUTPUT_DIR=str(notebook),
    )
    for folder in (headless, notebook):
        assert metrics(folder) == metrics(script_run)
        shown = [output.get("data", {}) for output in outputs(folder / "treelab.ipynb")]
        assert sum("image/png" in data for data in shown) == len(FIGURES) - 1
        assert sum("worst" in data.get("image/svg+xml", "") for data in shown) == 1
    assert (headless / "treelab.html").stat().st_size > 100_000


@pytest.mark.slow
def test_parameters_change_the_run_and_bad_ones_get_a_sentence(
    environment: LabEnvironment, tmp_path: Path
) -> None:
    def run_with(*arguments: str, check: bool = True) -> str:
        done = environment.project.run(
            environment.python,
            *("labs/treelab.py", *arguments),
            check=check,
            LAB_OUTPUT_DIR=str(tmp_path),
        )
        assert (done.returncode == 0) == check
        return done.stdout + done.stderr

    run_with("-p", "deepest", "1", "-p", "test_share", "0.9", "-p", "smallest_leaf", "20")
    result = metrics(tmp_path)
    assert (result["depth"], result["leaves"]) == (1, 2)
    assert sum(map(sum, result["confusion_matrix"])) > 500

    for name, value in {"test_share": "1.5", "folds": "1"}.items():
        message = run_with("-p", name, value, check=False)
        assert f"Error: {name} = {value} does not lie between" in message
        assert "Traceback" not in message


@pytest.mark.slow
def test_lab_runs_without_dot(environment: LabEnvironment, tmp_path: Path) -> None:
    done = environment.project.run(
        environment.python,
        "labs/treelab.py",
        LAB_OUTPUT_DIR=str(tmp_path),
        PATH=str(environment.python.parent),
    )
    assert shutil.which("dot", path=str(environment.python.parent)) is None
    assert "`dot` was not found, so matplotlib drew the tree" in done.stderr
    assert (tmp_path / "tree.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_tests_of_the_helpers_pass_none_left_out(environment: LabEnvironment) -> None:
    done = environment.project.run(environment.python, "-m", "pytest", "-q", *HELPERS)
    summary = done.stdout.splitlines()[-1]
    assert " passed" in summary
    assert "skipped" not in summary
