"""Kernels in VS Code's own workbench: while setup is at work, after a reload, and after Restart.

The Jupyter extension is a stand-in, which starts kernels from the extension host as that one does.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from baking import BakedProject
from editor.json_with_comments import read_json
from editor.workbench import PATIENCE, serve_workbench
from kernels.projects import (
    NEWEST,
    begin_setup,
    complete_setup,
    make_project,
    wait_until_cells_wait,
)
from playwright.sync_api import expect
from tool_helpers import wait_until

pytestmark = pytest.mark.slow


def test_cells_wait_for_setup_and_variables_outlive_a_reload_and_not_a_restart(
    default_project: BakedProject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = make_project(tmp_path_factory.mktemp("reloaded") / "project", "newest", NEWEST)
    folder, lab = project.project.path, project.lab("a")
    begin_setup(project)
    settings = folder / ".vscode" / "settings.json"
    settings.parent.mkdir()
    interpreter = "python.defaultInterpreterPath"
    theirs = read_json(default_project, ".vscode/settings.json")[interpreter]
    settings.write_text(json.dumps({interpreter: theirs}))
    try:
        with serve_workbench(folder, state=tmp_path_factory.mktemp("workbench")) as workbench:
            dialog = workbench.page.locator(".monaco-dialog-box")
            expect(dialog).to_contain_text("Do you trust", timeout=PATIENCE)
            workbench.trust_folder()
            ask(folder, lab, "import sys, only_here; x = 41; print(sys.prefix)")
            workbench.command("Stand-in: Run the cell")
            wait_until_cells_wait(project, "3 of 12 packages: torch")
            complete_setup(project)
            said = answer(folder)
            assert "The environment is being made" in said
            assert said.endswith(f"{(folder / '.venv').resolve()}\n")
            kernel = project.kernel("a")

            workbench.reload()
            ask(folder, lab, "print(x + 1)")
            workbench.command("Stand-in: Run the cell")
            *first, last = answer(folder).splitlines()
            assert last == "42"
            assert "Connected to the kernel started at" in "".join(first)
            assert project.kernel("a") == kernel

            # The setting names .venv, so a fresh kernel is one of the complete environment.
            ask(folder, lab, "import only_here; print(only_here.value); print(x + 1)")
            workbench.command("Stand-in: Restart and run the cell")
            assert answer(folder) == "42\nNameError: name 'x' is not defined\n"
            assert project.kernel("a").pid != kernel.pid
    finally:
        project.end_kernels()


def ask(folder: Path, lab: Path, code: str) -> None:
    """Leave a cell where the stand-in looks for it."""
    (folder / "cell.out").unlink(missing_ok=True)
    (folder / "cell.json").write_text(json.dumps({"lab": str(lab), "code": code}))


def answer(folder: Path) -> str:
    """Return what the cell printed, when it is over."""
    wait_until((folder / "cell.out").exists)
    return (folder / "cell.out").read_text()
