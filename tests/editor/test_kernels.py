"""A lab's variables in VS Code's own workbench: after a reload of the window, and after Restart.

The Jupyter extension is a stand-in, which starts kernels from the extension host as that one does.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from editor.workbench import serve_workbench
from kernels.projects import NEWEST, make_project
from playwright.sync_api import expect
from remote_fixtures import wait_until

pytestmark = pytest.mark.slow


def test_variables_outlive_a_reload_of_the_window_and_not_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    project = make_project(tmp_path_factory.mktemp("reloaded") / "project", "newest", NEWEST)
    folder, lab = project.project.path, project.lab("a")
    try:
        with serve_workbench(folder, state=tmp_path_factory.mktemp("workbench")) as workbench:
            dialog = workbench.page.locator(".monaco-dialog-box")
            expect(dialog).to_contain_text("Do you trust", timeout=60_000)
            workbench.trust_folder()
            ask(folder, lab, "x = 41; print('set')")
            workbench.command("Stand-in: Run the cell")
            assert answer(folder) == "set\n"
            kernel = project.kernel("a")

            workbench.reload()
            ask(folder, lab, "print(x + 1)")
            workbench.command("Stand-in: Run the cell")
            *first, last = answer(folder).splitlines()
            assert last == "42"
            assert "Connected to the kernel started at" in "".join(first)
            assert project.kernel("a") == kernel

            ask(folder, lab, "print(x + 1)")
            workbench.command("Stand-in: Restart and run the cell")
            assert "NameError: name 'x' is not defined" in answer(folder)
            assert project.kernel("a").pid != kernel.pid
    finally:
        project.end_kernels()


def ask(folder: Path, lab: Path, code: str) -> None:
    """Leave a cell where the stand-in looks for it."""
    (folder / "cell.out").unlink(missing_ok=True)
    (folder / "cell.json").write_text(json.dumps({"lab": str(lab), "code": code}))


def answer(folder: Path) -> str:
    """Return what the cell printed, when it is over."""
    wait_until((folder / "cell.out").exists, limit=90)
    return (folder / "cell.out").read_text()
