"""A generated project in VS Code's own workbench: nothing to fix, and its tasks run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from baking import BakedProject, bake_project, install_far
from editor.workbench import PATIENCE, Workbench, serve_workbench
from environment import LabEnvironment
from playwright.sync_api import expect

from ml_remote.editor.workspace_file import write_workspace_file

pytestmark = pytest.mark.slow

WORKSPACE_FILE = "gpu.code-workspace"
FILES = [".vscode/settings.json", ".vscode/launch.json", ".vscode/tasks.json"]
FILES += [".vscode/extensions.json", WORKSPACE_FILE]
# One mistake for each check that VS Code makes of these files, and what the Problems panel says.
# The last two of the settings are no problems to VS Code: it greys such settings out.
MISTAKES = {
    ".vscode/settings.json": '"files.autoSave": 7, "no.such.setting": true, "update.mode": "none"',
    ".vscode/launch.json": '"compound": []',
    ".vscode/tasks.json": '"presentation": {"reveal": "sometimes"}',
    ".vscode/extensions.json": '"unwantedRecommendations": ["no publisher"]',
    WORKSPACE_FILE: '"launch": 7',
}
GREYED_OUT = 2
TASKS = [
    "Run this lab headless",
    "TensorBoard",
    "Keep scripts and notebooks in step",
    "Run the tests",
    "Make or update the environment",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, environment: LabEnvironment) -> BakedProject:
    """Return a project with the shared environment, and with a lab that needs a few seconds."""
    folder = tmp_path_factory.mktemp("editor")
    baked = bake_project(folder, home=folder / "home")
    (baked.path / ".venv").symlink_to(environment.project.path / ".venv")
    install_far(baked)
    lab = baked.path / "labs" / "mnistlab.py"
    text = lab.read_text(encoding="utf-8").replace('dataset = "auto"', 'dataset = "digits"')
    lab.write_text(text.replace("epochs = 0", "epochs = 2"), encoding="utf-8")
    write_workspace_file(baked.path, alias="gpu", folder="/home/ada/handwriting-lab")
    return baked


@pytest.fixture(scope="module")
def workbench(
    project: BakedProject, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """Yield the workbench, with the project open and trusted."""
    with serve_workbench(project.path, state=tmp_path_factory.mktemp("workbench")) as workbench:
        dialog = workbench.page.locator(".monaco-dialog-box")
        expect(dialog).to_contain_text("Do you trust", timeout=PATIENCE)
        workbench.screenshot("vscode-trust")
        workbench.trust_folder()
        yield workbench


def test_every_mistake_is_reported_and_there_is_none_but_ours(
    workbench: Workbench, project: BakedProject
) -> None:
    """An empty Problems panel alone could also mean that nothing was checked yet."""
    folder = project.path
    kept = {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    try:
        for name, mistake in MISTAKES.items():
            text = kept[name].rstrip().removesuffix("}").rstrip()
            (folder / name).write_text(f"{text},\n  {mistake}\n}}\n", encoding="utf-8")
        workbench.show_all_lines()
        for name in reversed(FILES):
            workbench.open_file(str(folder / name))  # git ignores one: its path finds it
        expect(workbench.greyed_out()).to_have_count(GREYED_OUT)
        expect(workbench.problems()).to_have_count(len(FILES))
    finally:
        for name, text in kept.items():
            (folder / name).write_text(text, encoding="utf-8")
    expect(workbench.greyed_out()).to_have_count(0)
    expect(workbench.problems()).to_have_count(0)
    panel = workbench.page.locator(".markers-panel")
    expect(panel).to_contain_text("No problems have been detected in the workspace")
    workbench.screenshot("vscode-settings")


def test_tasks_are_listed_and_the_lab_runs_headless(
    workbench: Workbench, project: BakedProject
) -> None:
    shutil.rmtree(project.path / "outputs" / "mnistlab", ignore_errors=True)  # of another attempt
    workbench.open_file("labs/mnistlab.py")
    entries = workbench.list_entries("task ")
    for task in TASKS:
        expect(entries.filter(has_text=task)).to_have_count(1)
    workbench.screenshot("vscode-tasks")
    workbench.page.keyboard.press("Escape")
    workbench.choose("task Run this lab", "Run this lab headless")
    # The last of its lines, and what VS Code adds to a task that succeeded.
    expect(workbench.terminal_text()).to_contain_text("weights.pt", timeout=2 * PATIENCE)
    expect(workbench.terminal_text()).to_contain_text("Terminal will be reused by tasks")
    workbench.screenshot("vscode-lab")
    (results,) = (project.path / "outputs" / "mnistlab").iterdir()
    assert (results / "confusion-matrix.png").exists()
    shutil.rmtree(results)
