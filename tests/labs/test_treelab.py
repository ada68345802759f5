"""The tabular lab: run for real in each of the ways that people run it, and what a run leaves."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import jupytext
import pytest
from environment import LabEnvironment
from needs import need_program

pytestmark = pytest.mark.slow

FIGURES = {
    "confusion-matrix.png",
    "distributions.png",
    "importances.png",
    "learning-curves.png",
    "mistakes.png",
    "tree.png",
}
TEST_SAMPLES = 143  # a quarter of 569
# What the Interactive Window shows beside the script: pixels, and characters of a line.
NARROW, LONGEST = 680, 65

# VS Code's interactive window sends the cells of a script one by one to a kernel in the workspace.
INTERACTIVE_WINDOW = """
import jupytext
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(cwd=".")
try:
    for cell in jupytext.read("labs/treelab.py").cells:
        if cell.cell_type == "code":
            reply = client.execute_interactive(cell.source, timeout=300)
            if reply["content"]["status"] != "ok":
                sys.exit(1)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def script_run(environment: LabEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of `python labs/treelab.py`, without a display."""
    folder = tmp_path_factory.mktemp("script")
    environment.project.run(
        environment.python, "labs/treelab.py", LAB_OUTPUT_DIR=str(folder), DISPLAY=""
    )
    return folder


def test_script_leaves_figures_metrics_and_mistakes(script_run: Path) -> None:
    found = {path.name for path in script_run.iterdir()}
    assert found == FIGURES | {"metrics.json", "mistakes.csv"}
    for figure in FIGURES:
        assert (script_run / figure).read_bytes().startswith(b"\x89PNG")
    result = metrics(script_run)
    assert result["accuracy"] > max(0.9, result["baseline"])
    assert sum(map(sum, result["confusion_matrix"])) == TEST_SAMPLES
    header, *rows = (script_run / "mistakes.csv").read_text(encoding="utf-8").splitlines()
    assert header.startswith("index,")
    assert header.endswith(",known,predicted,confidence,verdict")
    assert [int(row.split(",")[0]) for row in rows] == result["misclassified"]
    assert len(rows) == round(TEST_SAMPLES * (1 - result["accuracy"]))


@pytest.mark.parametrize("way", ["papermill", "notebook", "interactive"])
def test_other_ways_find_what_the_script_finds(
    way: str, environment: LabEnvironment, script_run: Path, tmp_path: Path
) -> None:
    command = {
        "papermill": [".lab/far/current", "headless", "labs/treelab.py"],
        "notebook": [
            *("-m", "nbconvert", "--to", "notebook", "--execute", "labs/treelab.ipynb"),
            *("--output-dir", str(tmp_path)),
        ],
        "interactive": ["-c", INTERACTIVE_WINDOW],
    }[way]
    environment.project.run(environment.python, *command, LAB_OUTPUT_DIR=str(tmp_path))
    assert metrics(tmp_path) == metrics(script_run)
    assert {path.name for path in tmp_path.glob("*.png")} == FIGURES
    if way == "interactive":
        return
    executed = jupytext.read(tmp_path / "treelab.ipynb")
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    shown = [b64decode(png) for one in outputs if (png := one.get("data", {}).get("image/png"))]
    assert len(shown) == len(FIGURES)
    assert shown.count((tmp_path / "tree.png").read_bytes()) == 1
    # PNG's width: what is wider than the Interactive Window is shrunk, and its text with it.
    widths = {name: int.from_bytes((tmp_path / name).read_bytes()[16:20]) for name in FIGURES}
    assert [name for name, width in widths.items() if width > NARROW] == ["tree.png"]
    printed = "".join(output.get("text", "") for output in outputs).splitlines()
    assert [line for line in printed if len(line) > LONGEST and str(tmp_path) not in line] == []


def test_parameters_change_the_run_and_dot_is_not_needed(
    environment: LabEnvironment, tmp_path: Path
) -> None:
    done = environment.project.run(
        environment.python,
        *("labs/treelab.py", "-p", "deepest", "1", "-p", "test_share", "0.9", "-p", "seed", "3"),
        LAB_OUTPUT_DIR=str(tmp_path),
        PATH=str(environment.python.parent),
    )
    result = metrics(tmp_path)
    assert (result["depth"], result["leaves"]) == (1, 2)
    assert sum(map(sum, result["confusion_matrix"])) > 500
    assert "`dot` was not found, so matplotlib drew the tree" in done.stderr
    assert (tmp_path / "tree.png").read_bytes().startswith(b"\x89PNG")


def test_parameter_out_of_range_gets_a_sentence(
    environment: LabEnvironment, tmp_path: Path
) -> None:
    done = environment.project.run(
        environment.python,
        *("labs/treelab.py", "-p", "folds", "1"),
        check=False,
        LAB_OUTPUT_DIR=str(tmp_path),
    )
    assert done.returncode == 1
    assert done.stderr == "Error: folds = 1 does not lie between 2 and 20.\n"


def test_projects_own_tests_draw_with_dot() -> None:
    # Without it, those tests that need it are left out: people may not have it.
    need_program("dot")
