"""The files for VS Code, GitHub and conda, against what those who read them say of themselves."""

from __future__ import annotations

import re

import jupytext
import nbformat
import pytest
import yaml
from baking import BakedProject
from conftest import Bake
from editor.json_with_comments import read_json
from rattler import MatchSpec
from workflows import check_workflow, pins

# What the Jupyter extension takes for the first line of a cell, and of a Markdown cell.
CELL = re.compile(r"^(#\s*%%|#\s*\<codecell\>|#\s*In\[\d*?\]|#\s*In\[ \])")
MARKDOWN_CELL = re.compile(r"^(#\s*%%\s*\[markdown\]|#\s*\<markdowncell\>)")

EXTENSIONS = {
    "ms-python.python",
    "ms-toolsai.jupyter",
    "ms-vscode-remote.remote-ssh",
    "ms-vscode-remote.remote-containers",
    "charliermarsh.ruff",
    "caenrigen.jupytext-sync",
    "tamasfe.even-better-toml",
}


def test_extensions_are_recommended(default_project: BakedProject) -> None:
    recommended = read_json(default_project, ".vscode/extensions.json")["recommendations"]
    assert set(recommended) == EXTENSIONS


def test_every_group_of_settings_has_a_why(default_project: BakedProject) -> None:
    groups = default_project.read(".vscode/settings.json").split("\n\n")
    assert len(groups) > 5
    for group in groups[1:]:  # the first is about the file
        lines = group.splitlines()
        assert lines[0].startswith("  //"), f"no comment above: {group}"
        assert any(line.startswith('  "') for line in lines)


def test_tasks_and_debugger_need_nothing_that_only_a_laptop_has(
    default_project: BakedProject,
) -> None:
    for task in read_json(default_project, ".vscode/tasks.json")["tasks"]:
        assert task["command"] in ("${workspaceFolder}/.venv/bin/python", "sh")
        assert "lab.py" not in task["args"]
        for argument in task["args"]:
            if argument.startswith("scripts/"):
                assert (default_project.path / argument).is_file()
    for one in read_json(default_project, ".vscode/launch.json")["configurations"]:
        assert one["type"] == "debugpy"


def test_every_lab_is_cells_to_the_jupyter_extension(default_project: BakedProject) -> None:
    scripts = sorted((default_project.path / "labs").glob("*.py"))
    assert scripts
    for script in scripts:
        lines = script.read_text(encoding="utf-8").splitlines()
        cells = jupytext.read(script).cells
        assert sum(bool(CELL.match(line)) for line in lines) == len(cells)
        markdown = [cell for cell in cells if cell.cell_type == "markdown"]
        assert sum(bool(MARKDOWN_CELL.match(line)) for line in lines) == len(markdown)


def test_every_notebook_is_valid(default_project: BakedProject) -> None:
    notebooks = sorted((default_project.path / "labs").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        nbformat.validate(nbformat.read(path, as_version=4))


def test_workflow_is_valid_pinned_and_allowed_little(default_project: BakedProject) -> None:
    path = default_project.path / ".github" / "workflows" / "ci.yml"
    workflow = check_workflow(path)
    assert pins(path)
    systems = workflow["jobs"]["conda"]["strategy"]["matrix"]["os"]
    assert {name.partition("-")[0] for name in systems} == {"ubuntu", "macos", "windows"}


@pytest.mark.parametrize("version", ["3.11", "3.14"])
def test_conda_reads_every_line_of_the_environment(bake: Bake, version: str) -> None:
    project = bake(python_version=version)
    dependencies = yaml.safe_load(project.read("environment.yml"))["dependencies"]
    specs = [MatchSpec(line, strict=True) for line in dependencies]
    assert len(specs) > 15
    # A name that is not one would be read as part of something else: each spec says its name again.
    assert [str(spec).split()[0] for spec in specs] == [
        re.split("[=<>]", line)[0] for line in dependencies
    ]
    python = specs[dependencies.index(f"python={version}")]
    assert str(python.version) == f"{version}.*"
