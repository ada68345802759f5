"""Runs that start later, or that nobody waits for, have the code that they were asked with."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest
from remote_project import RemoteProject
from tool_helpers import ReadyProject, at, at_terminal, runs_there, wait_until

from ml_remote import jobs
from ml_remote.ui.console import Console

pytestmark = pytest.mark.slow

TRAIN = """\
import os, sys, time
from pathlib import Path
import handwriting_lab
Path("checkpoints").mkdir(exist_ok=True)
Path("checkpoints/last.pt").write_text(sys.argv[1])
Path("notes.txt").write_text(sys.argv[1])
Path("data/seen.txt").write_text("the project's")
print("began", flush=True)
while not Path("data/go").exists():
    time.sleep(0.05)
import later
print("code", later.VERSION, Path(handwriting_lab.__file__).parents[2].name, flush=True)
print("path", os.environ["PYTHONPATH"], os.environ["LAB_OUTPUT_DIR"], flush=True)
Path("written").write_text("w")
"""


@pytest.fixture
def there(remote_project: RemoteProject) -> RemoteProject:
    """Return a project on both sides, with a Python as its environment there."""
    settings = remote_project.project.read("lab.toml")
    remote_project.commit("lab.toml", settings + '\n[outputs]\nfolders = ["checkpoints"]\n')
    (remote_project.project.path / "later.py").write_text("VERSION = 1\n")
    (remote_project.project.path / "src/handwriting_lab/__init__.py").write_text("")
    remote_project.commit("train.py", TRAIN)
    remote_project.push()
    remote_project.have_environment()
    remote_project.write_there("data/here", "")
    return remote_project


def runs(remote_project: RemoteProject) -> list[jobs.Job]:
    return jobs.list_jobs(
        at(remote_project.client, remote_project.name), console=Console(), kind="run"
    )


def log(remote_project: RemoteProject, run: str) -> str:
    return (remote_project.folder / ".lab" / "jobs" / run / "log").read_text()


def start(remote_project: RemoteProject, word: str, *more: str) -> str:
    """Start a detached run, wait until it has begun, and return its id."""
    done = remote_project.lab("run", "--detach", *more, "--", "python", "train.py", word)
    assert done.returncode == 0, done.stderr
    run = runs(remote_project)[-1].id
    wait_until(lambda: "began" in log(remote_project, run) or runs(remote_project)[-1].is_over)
    assert "began" in log(remote_project, run), log(remote_project, run) + str(runs(remote_project))
    return run


def test_two_runs_of_one_commit_and_a_push_between_them(there: RemoteProject) -> None:
    first, second = start(there, "first"), start(there, "second")
    code = there.folder / ".lab" / "code"
    assert {one.name for one in code.iterdir() if one.is_dir()} == {first, second}
    assert stat.S_IMODE((there.folder / ".lab/jobs" / first).stat().st_mode) == 0o700
    head = there.git("rev-parse", "HEAD")
    (there.project.path / "later.py").write_text("VERSION = 2\n")
    there.commit("train.py", "raise SystemExit(9)\n")
    there.push()
    there.write_there("data/go", "")
    for run, word in ((first, "first"), (second, "second")):
        done = there.lab("attach", run)
        assert done.returncode == 0, done.stderr
        home = there.project.path / "outputs" / "train" / run
        assert (home / "checkpoints" / "last.pt").read_text() == word
        assert (home / "notes.txt").read_text() == word
        assert f"code 1 {run}" in log(there, run)
        remote_project = there.folder.resolve() / ".lab" / "code" / run
        results = there.folder.resolve() / "outputs" / "train" / run
        assert f"path {remote_project}/src {results}" in log(there, run)
        record = json.loads((home / "run.json").read_text())
        assert (record["commit"], record["dirty"]) == (head, False)
    assert list(code.iterdir()) == []
    for name in ("checkpoints", "notes.txt", "written"):
        assert not (there.folder / name).exists()
    assert (there.folder / "data/seen.txt").read_text() == "the project's"
    assert "uses the folder" not in there.lab("runs").stdout


def test_killed_run_leaves_its_checkout_to_the_next_command(there: RemoteProject) -> None:
    (there.folder / "later.py").write_text("VERSION = 'edited there'\n")
    run = start(there, "mine", "--env", "PYTHONPATH=/opt/mine")
    code = there.folder / ".lab" / "code" / run
    runner = int((there.folder / ".lab/jobs" / run / "pid").read_text().split()[0])
    there.client.run("kill", "-s", "KILL", str(runner))
    wait_until(lambda: runs(there)[-1].state == "lost")
    assert (code / "notes.txt").exists()  # its program lives, and writes
    there.write_there("data/go", "")
    wait_until(lambda: "path " in log(there, run))
    assert "code edited there" in log(there, run)
    assert f"{code}/src:/opt/mine" in log(there, run)

    def is_done() -> bool:
        there.lab("runs")
        return not code.exists()

    wait_until(is_done)
    done = there.lab("pull", run)
    assert done.returncode == 0, done.stderr
    home = there.project.path / "outputs" / "train" / run
    assert (home / "checkpoints" / "last.pt").read_text() == "mine"
    record = json.loads((home / "run.json").read_text())
    assert (record["dirty"], record["difference"]) == (True, "difference.patch")
    assert "VERSION = 'edited there'" in (home / "difference.patch").read_text()
    assert not (there.folder / ".lab/jobs" / run / "finish").exists()


def test_two_runs_in_the_folder_do_not_mix_their_results(there: RemoteProject) -> None:
    words = ["run", "--env", "PYTHONPATH=src", "--", "python", "train.py"]
    with there.start_lab(*words, "mine") as first:
        wait_until(lambda: runs(there))
        run = runs(there)[-1].id
        wait_until(lambda: "began" in log(there, run) or runs(there)[-1].is_over)
        assert "began" in log(there, run), log(there, run)
        done = there.lab(*words, "other")
        assert done.returncode == 125
        assert (
            "its files in checkpoints/ would be counted as results of this run too" in done.stderr
        )
        assert "Next: To give the new run its own copy of the code and folders" in done.stderr
        command = [sys.executable, "-B", "lab.py", *words, "other"]
        folder, variables = there.project.path, dict(os.environ)
        code, screen = at_terminal(
            command, answers={"[y/N]:": "n"}, folder=folder, variables=variables
        )
        assert (code, len(runs(there))) == (125, 1), screen
        assert "Nothing was started." in screen
        second = start(there, "other")  # detached, so it has folders of its own
        there.write_there("data/go", "")
        first.communicate(timeout=300)
    assert there.lab("attach", second).returncode == 0
    for job, word in zip(runs(there), ("mine", "other"), strict=True):
        home = there.project.path / "outputs" / "train" / job.id
        assert (home / "checkpoints" / "last.pt").read_text() == word


def test_cells_of_a_lab_use_the_checkout_though_the_package_is_installed_from_elsewhere(
    ready_project: ReadyProject,
) -> None:
    """The environment has the package as an editable install, by a .pth file."""
    lab = (
        "# %%\nimport os\nfrom pathlib import Path\nimport handwriting_lab\n"
        'print(Path.cwd().name, os.environ["LAB_CODE"])\n'
        'Path("beside.txt").write_text(handwriting_lab.__file__)\n'
    )
    for folder in (ready_project.project.path, ready_project.folder):
        (folder / "labs" / "where.py").write_text(lab)
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "-m", "one")):
        subprocess.run([*git, *words], cwd=ready_project.folder, check=True)
    done = ready_project.lab("run", "where", "--detach")
    assert done.returncode == 0, done.stderr
    (job,) = runs_there(ready_project)
    done = ready_project.lab("attach", job.id)
    assert done.returncode == 0, done.stderr
    home = ready_project.project.path / "outputs" / "where" / job.id
    code = ready_project.folder.resolve() / ".lab" / "code" / job.id
    assert (home / "beside.txt").read_text() == str(code / "src/handwriting_lab/__init__.py")
    assert (home / "where.ipynb").exists()
    assert f"{job.id} {code}" in (ready_project.folder / ".lab/jobs" / job.id / "log").read_text()
    assert "uses the folder" not in ready_project.lab("runs").stdout
    assert not code.exists()


def test_lab_that_is_not_on_the_machine_is_not_started(ready_project: ReadyProject) -> None:
    (ready_project.project.path / "labs" / "fresh.py").write_text("# %%\nprint(1)\n")
    done = ready_project.lab("run", "fresh")
    assert (done.returncode, "labs/fresh.py is not on machine." in done.stderr) == (1, True)
    assert "Next: Commit it, then lab push; or add --push-dirty" in done.stderr
    assert runs_there(ready_project) == []
