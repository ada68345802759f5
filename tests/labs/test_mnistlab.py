"""The digit lab, run for real in each of the ways that people run it."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from baking import BakedProject, bake_project, install_far
from environment import LabEnvironment, layered
from labs.cells import in_a_kernel

pytestmark = pytest.mark.slow

AWKWARD_ANSWERS: dict[str, Any] = {
    "project_name": 'Jürgen\'s "first" lab 🚀',
    "project_slug": "lab-of-juergen",
    "package_name": "digits_of_juergen",
    "description": "C:\\new \\ 'single' \"double\" # not a comment",
    "author": "Мария Łukasz O'Neil 机",
}
FIGURES = ["samples", "digit-counts", "learning-curves", "confusion-matrix", "mistakes"]
# torch's compiler takes two to three seconds to import, which nobody needs to wait for.
QUICK = """
# %%
import sys; assert 'torch._dynamo' not in sys.modules, 'torch._dynamo is imported'
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """Return a project with awkward answers in a folder with an awkward name."""
    folder = tmp_path_factory.mktemp("awkward")
    project = bake_project(
        folder / "with spaces, ü and {braces}", home=folder / "home", **AWKWARD_ANSWERS
    )
    install_far(project)
    return project


@pytest.fixture
def environment(project: BakedProject, environment: LabEnvironment) -> LabEnvironment:
    """Return the shared environment, with this project's package in it."""
    return layered(project, environment)


Run = Callable[..., Path]


@pytest.fixture
def run(project: BakedProject, environment: LabEnvironment) -> Run:
    """Run the shared interpreter in the project; return the folder of results that appeared."""

    def run(*arguments: str, **variables: str) -> Path:
        before = results(project)
        project.run(environment.python, *arguments, DISPLAY="", **variables)  # type: ignore[arg-type]
        (folder,) = results(project) - before
        return folder

    return run


def results(project: BakedProject) -> set[Path]:
    return set(project.path.glob("outputs/mnistlab/*"))


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return content


HEADLESS = [".lab/far/current", "headless", "labs/mnistlab.py"]


def test_four_ways_give_the_same_accuracy(project: BakedProject, run: Run) -> None:
    script = run("labs/mnistlab.py", "-p", "dataset", "digits")
    papermill = run(*HEADLESS, "-p", "dataset", "digits")
    text = (project.path / "labs" / "mnistlab.py").read_text(encoding="utf-8")
    interactive = run(*in_a_kernel(text.replace('dataset = "auto"', 'dataset = "digits"') + QUICK))
    notebook = nbformat.read(project.path / "labs" / "mnistlab.ipynb", as_version=4)
    parameters = notebook.cells[2]
    assert parameters.metadata.tags == ["parameters"]
    parameters.source = parameters.source.replace('dataset = "auto"', 'dataset = "digits"')
    nbformat.write(notebook, project.path / "labs" / "as-notebook.ipynb")
    as_notebook = run("-m", "jupyter", "execute", "labs/as-notebook.ipynb", "--kernel_name=python3")
    found = [metrics(folder) for folder in (script, papermill, interactive, as_notebook)]
    assert len({one["accuracy"] for one in found}) == 1
    assert len({json.dumps(one["confusion_matrix"]) for one in found}) == 1
    assert found[0]["accuracy"] >= 0.98
    assert all(one["loss_after_step"] < one["loss_before_step"] for one in found)

    for folder in (script, papermill, interactive, as_notebook):
        for figure in FIGURES:
            assert (folder / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
        rows = list(csv.DictReader((folder / "mistakes.csv").open(encoding="utf-8")))
        assert [int(row["index"]) for row in rows] == metrics(folder)["misclassified"]
        assert {row["verdict"] for row in rows} <= {""}
        assert (folder / "weights.pt").stat().st_size > 50_000
    executed = nbformat.read(papermill / "mnistlab.ipynb", as_version=4)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert "The restored network gives the same answers: yes." in text
    # What the Interactive Window shows beside the script: characters of a line, pixels.
    assert [line for line in text.splitlines() if len(line) > 65 and "/" not in line] == []
    widths = [int.from_bytes(path.read_bytes()[16:20]) for path in papermill.glob("*.png")]
    assert max(widths) <= 680
    page = (papermill / "mnistlab.html").read_text(encoding="utf-8")
    assert "image/png;base64" in page


def test_project_with_awkward_answers_passes_its_own_tests(
    project: BakedProject, environment: LabEnvironment
) -> None:
    # Those of training take long, meet no names and paths, and run in tests/bake/test_matrix.py.
    left_out = ["--ignore=tests/test_distributed.py"]
    done = project.run(
        environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *left_out
    )
    assert " passed" in done.stdout


def test_tensorboard_gets_curves_pictures_and_the_graph(
    project: BakedProject, run: Run, environment: LabEnvironment
) -> None:
    folder = run("labs/mnistlab.py", "-p", "dataset", "digits", "-p", "epochs", "3")
    reader = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]).Reload()
tags = events.Tags()
print(json.dumps({
    "scalars": {tag: len(events.Scalars(tag)) for tag in tags["scalars"]},
    "images": tags["images"], "graph": len(events.Graph().node),
}))
"""
    done = project.run(environment.python, "-c", reader, str(folder / "tensorboard"))
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["scalars"] == {"loss/train": 4, "loss/test": 4, "accuracy": 4}  # a hard one, too
    assert found["images"] == ["samples"]
    assert found["graph"] > 10


def test_headless_run_executes_the_script_and_not_a_stale_notebook(
    project: BakedProject, run: Run
) -> None:
    script = project.path / "labs" / "mnistlab.py"
    original = script.read_text(encoding="utf-8")
    script.write_text(original + '\n# %%\n(run.folder / "from-the-script").touch()\n', "utf-8")
    try:
        folder = run(*HEADLESS, "-p", "dataset", "digits", "-p", "epochs", "1")
    finally:
        script.write_text(original, encoding="utf-8")
    assert (folder / "from-the-script").exists()


def test_failing_cell_is_shown_and_the_run_until_there_is_kept(
    project: BakedProject, environment: LabEnvironment
) -> None:
    before = results(project)
    done = project.run(environment.python, *HEADLESS, "-p", "dataset", "fashion", check=False)
    assert done.returncode == 1
    assert "ParameterError" in done.stderr
    assert "There is no data set 'fashion'" in done.stderr
    (folder,) = results(project) - before
    assert "There is no data set" in (folder / "mnistlab.html").read_text(encoding="utf-8")


def test_mistake_in_a_plain_script_is_a_sentence(
    project: BakedProject, environment: LabEnvironment
) -> None:
    done = project.run(
        environment.python, "labs/mnistlab.py", "-p", "dataset", "fashion", check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: There is no data set 'fashion'. Take 'auto', 'mnist' or 'digits'.\n"
    )


def test_terminal_shows_a_live_bar_and_a_file_does_not(
    project: BakedProject, environment: LabEnvironment
) -> None:
    arguments = ["-p", "dataset", "digits", "-p", "epochs", "2"]
    command = [str(environment.python), "labs/mnistlab.py", *arguments]
    variables = {**os.environ, "PYTHONPATH": str(project.path / "src")}
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    process = subprocess.Popen(command, cwd=project.path, env=variables, stdout=theirs)
    os.close(theirs)
    printed = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the other side of a terminal is closed
            break
        if not part:
            break
        printed += part
    os.close(ours)
    assert process.wait() == 0
    assert b"%|" in printed
    assert printed.count(b"\r") > printed.count(b"\n")
    to_a_file = project.run(*command)
    assert "epoch  3 of 3" in to_a_file.stdout
    assert "%|" not in to_a_file.stdout + to_a_file.stderr


def test_real_handwriting_is_read_with_the_default_parameters(
    run: Run, tmp_path: Path, mnist_directory: Path
) -> None:
    found = []
    for threads in ("1", "2"):  # one computes, however many there are
        folder = run("labs/mnistlab.py", LAB_DATA_DIR=str(mnist_directory), OMP_NUM_THREADS=threads)
        found.append((folder, metrics(folder)))
    (first, one), (second, two) = found
    assert one["dataset"] == "mnist"
    assert one["accuracy"] >= 0.993
    assert one["accuracy"] == two["accuracy"]
    assert one["misclassified"] == two["misclassified"]
    assert (first / "weights.pt").read_bytes() == (second / "weights.pt").read_bytes()
