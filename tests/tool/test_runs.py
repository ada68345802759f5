"""`lab run`, `runs`, `attach` and `stop` on a real OpenSSH server, with real kernels."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from baking import BakedProject
from environment import LabEnvironment
from tool_helpers import ReadyProject, at_terminal, runs_there, wait_until

from ml_remote.exit_codes import OWN_FAILURE
from ml_remote.jobs.job import Job

COUNTING = """\
# %% [markdown]
# # Counting

# %% tags=["parameters"]
limit = 3
greeting = "hello"

# %% [markdown]
# ## Out loud

# %%
for number in range(limit):
    print(f"{greeting} {number}", flush=True)

# %%
import os
from pathlib import Path

Path(os.environ["LAB_OUTPUT_DIR"], "counted.txt").write_text(f"{greeting} {limit}")
"""
WAITING = """\
# %% [markdown]
# # Waiting

# %% tags=["parameters"]
name = "go"

# %%
import time
from pathlib import Path

print("waiting for it", flush=True)
while not Path(name).exists():
    time.sleep(0.1)
"""
FAILING = """\
# %% [markdown]
# # First steps

# %%
print("this cell is fine")

# %% [markdown]
# ## A wrong step

# %%
print("about to fail")
1 / 0
"""


def write_lab(ready_project: ReadyProject, name: str, source: str) -> None:
    """Write a lab, here and there."""
    for root in (ready_project.project.path, ready_project.folder):
        (root / "labs" / f"{name}.py").write_text(source, encoding="utf-8")


def results_here(ready_project: ReadyProject) -> list[Path]:
    return sorted((ready_project.project.path / "outputs").glob("*/*"))


def processes_of(job: Job) -> list[Path]:
    """Return the processes that belong to a run, its kernel among them."""
    mark = f"/.lab/jobs/{job.id}/".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append(process)
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def wait_for_output(ready_project: ReadyProject, text: str) -> None:
    logs = ready_project.folder / ".lab" / "jobs"
    wait_until(lambda: any(text in log.read_text() for log in logs.glob("*/log")))


@pytest.mark.slow
def test_run_brings_its_results_home(ready_project: ReadyProject) -> None:
    write_lab(ready_project, "counting", COUNTING)
    greeting = 'it\'s "ü"\n; $HOME'
    done = ready_project.lab("run", "counting", "-p", "limit", "-1", "-p", "greeting", greeting)
    assert done.returncode == 0, done.stderr
    (results,) = results_here(ready_project)
    assert (results / "counted.txt").read_text() == f"{greeting} -1"
    steps = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert steps == ["[1/3] Counting", "[2/3] Out loud", "[3/3] Out loud"]
    assert greeting not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("All cells of labs/counting.py -p limit -1 -p greeting")
    assert lines[1].startswith("4 files copied to outputs/ ")
    assert lines[2:-1] == [
        f"Results: {results}",
        "  counted.txt",
        "  counting.html",
        "  counting.ipynb",
    ]
    assert lines[-1] == f"Next: open {results / 'counting.html'}"
    heading, row, _ = ready_project.lab("runs").stdout.splitlines()
    assert heading.split() == ["RUN", "STATE", "STARTED", "TOOK", "EXIT", "LAB"]
    assert row.startswith(f"{results.name}  done ")


@pytest.mark.slow
def test_failing_cell_is_shown_and_its_notebook_comes_home(ready_project: ReadyProject) -> None:
    write_lab(ready_project, "failing", FAILING)
    done = ready_project.lab("run", "labs/failing.py")
    assert done.returncode == 1
    (results,) = results_here(ready_project)
    shown = done.stderr.splitlines()
    assert "ZeroDivisionError: division by zero" in shown
    assert "about to fail" in shown
    assert "this cell is fine" not in shown
    assert f"Error: Run {results.name} failed in cell [2/2] A wrong step; exit code 1." in shown
    assert shown[-1] == f"Next: open {results / 'failing.html'}"
    executed = nbformat.read(results / "failing.ipynb", as_version=4)
    errors = [
        output
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert [error.ename for error in errors] == ["ZeroDivisionError"]
    reason = f"Run {results.name} failed in cell [2/2] A wrong step; exit code 1."
    last = "ZeroDivisionError: division by zero"
    assert f'{reason}\nIts last line: "{last}"\n' in ready_project.lab("runs", results.name).stdout
    shown_later = json.loads(ready_project.lab("show", results.name, "--json").stdout)
    assert (shown_later["why"], shown_later["said"]) == (reason, last)
    everything = ready_project.lab("attach", "--verbose")
    assert everything.returncode == 1
    assert "this cell is fine" in everything.stderr.splitlines()


@pytest.mark.slow
def test_kernel_that_is_killed_is_told_with_the_cell_it_ran(ready_project: ReadyProject) -> None:
    write_lab(
        ready_project, "failing", FAILING.replace("1 / 0", "import os; os.kill(os.getpid(), 9)")
    )
    done = ready_project.lab("run", "failing")
    assert done.returncode == 1
    assert "The kernel was killed while it ran this cell, often" in done.stderr
    assert "failed in cell [2/2] A wrong step; exit code 1." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_what_cannot_be_run_is_told_in_a_sentence(ready_project: ReadyProject) -> None:
    missing = ready_project.lab("run", "labs/nothing.py")
    assert missing.returncode == 2
    assert "There is no lab 'labs/nothing.py'. The labs of this project: " in missing.stderr
    outside = ready_project.lab("run", "/etc/hosts")
    assert outside.returncode == 2
    wrong = ready_project.lab("run", "mnistlab", "-p", "epoch", "1")
    assert wrong.returncode == 2
    error, hint = wrong.stderr.splitlines()[-2:]
    assert error.startswith("Error: This lab has no parameter 'epoch'. It has: dataset, images,")
    assert hint == "Next: Did you mean -p epochs?"
    both = ready_project.lab("run", "mnistlab", "--local", "--detach")
    assert both.returncode == 2
    (ready_project.folder / ".lab").mkdir()  # nothing was sent for these
    (ready_project.folder / ".lab" / "environment.incomplete").touch()
    incomplete = ready_project.lab("run", "mnistlab")
    assert incomplete.returncode == 1
    assert "The environment on machine is incomplete." in incomplete.stderr
    (ready_project.folder / ".venv").unlink()
    (ready_project.folder / ".lab" / "environment.incomplete").unlink()
    without = ready_project.lab("run", "mnistlab")
    assert without.returncode == 1
    assert without.stderr.splitlines()[-1] == "Next: Make it: lab setup"
    ready_project.folder.rename(ready_project.folder.with_name("elsewhere"))
    for command in (["run", "mnistlab"], ["runs"], ["attach"], ["stop"]):
        gone = ready_project.lab(*command)
        assert gone.returncode == (OWN_FAILURE if command == ["attach"] else 1)
        assert gone.stderr.splitlines()[-1] == "Next: Send the project to the machine: lab up"
    ready_project.client.close()
    ready_project.server.stop()
    for command in (["run", "mnistlab"], ["runs"], ["attach"], ["stop"], ["status"]):
        unreachable = ready_project.lab(*command)
        assert unreachable.returncode == (OWN_FAILURE if command == ["attach"] else 1)
        assert "nothing listens on port" in unreachable.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["asking", "started", "in a cell"])
def test_killed_laptop_loses_nothing(ready_project: ReadyProject, stage: str) -> None:
    write_lab(ready_project, "waiting", WAITING)
    process = ready_project.start_lab("run", "waiting")
    if stage == "asking":
        wait_until(lambda: ready_project.server.logins >= 1)
    elif stage == "started":
        wait_until(lambda: list(ready_project.folder.glob(".lab/jobs/*/about.json")))
    else:
        wait_for_output(ready_project, "waiting for it")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    again = ready_project.start_lab("run", "waiting")
    wait_for_output(ready_project, "waiting for it")
    (ready_project.folder / "go").touch()
    output, _ = again.communicate()
    assert again.returncode == 0, output
    (job,) = runs_there(ready_project)
    assert job.state == "done"
    (results,) = results_here(ready_project)
    assert results.name == job.id
    assert (results / "waiting.html").is_file()
    if stage != "asking":  # then it may have begun or not
        assert "This run is already in progress" in output


@pytest.mark.slow
def test_laptop_killed_while_results_come_home_has_them_after_attach(
    ready_project: ReadyProject,
) -> None:
    source = (
        f"{COUNTING}\n# %%\nPath(os.environ['LAB_OUTPUT_DIR'], 'big').write_bytes(bytes(10**8))"
    )
    write_lab(ready_project, "counting", source)
    process = ready_project.start_lab("run", "counting")
    wait_until(lambda: list(ready_project.project.path.glob("outputs/.incoming/**/big*")))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = ready_project.lab("attach")
    assert done.returncode == 0, done.stderr
    (job,) = runs_there(ready_project)
    results = ready_project.project.path / "outputs" / "counting" / job.id
    assert (results / "big").stat().st_size == 10**8
    assert (results / "counted.txt").read_text() == "hello 3"


@pytest.mark.slow
def test_interrupting_leaves_the_run_and_stopping_ends_it_with_its_kernel(
    ready_project: ReadyProject,
) -> None:
    write_lab(ready_project, "waiting", WAITING)
    process = ready_project.start_lab("run", "waiting")
    wait_for_output(ready_project, "waiting for it")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    (job,) = runs_there(ready_project)
    assert process.returncode == 1
    assert f"The run continues on machine. To end it: lab stop {job.id}" in output
    assert output.splitlines()[-1] == f"Next: lab attach {job.id}"
    assert job.state == "running"
    assert len(processes_of(job)) >= 2  # the headless run and its kernel

    listed = ready_project.lab("runs")
    assert f"{job.id}  running" in listed.stdout
    assert listed.stdout.splitlines()[-1] == f"Next: lab attach {job.id}"
    assert f"Run         {job.id}  labs/waiting.py" in ready_project.lab("status").stdout
    following = ready_project.start_lab("attach")
    wait_until(lambda: ready_project.server.logins >= 3)  # the run, its follower, and this one
    stopped = ready_project.lab("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert f"{job.id} (labs/waiting.py) was stopped" in stopped.stdout
    assert processes_of(job) == []
    output, _ = following.communicate()
    assert following.returncode == 1
    assert f"Run {job.id} was stopped in cell [2/2] Waiting." in output
    assert ready_project.lab("stop").stdout.splitlines()[0] == "No run is in progress on machine."
    assert "is stopped." in ready_project.lab("stop", job.id[-8:]).stdout


@pytest.mark.slow
def test_run_that_is_killed_there_is_told_from_one_that_fails(ready_project: ReadyProject) -> None:
    write_lab(ready_project, "waiting", WAITING)
    assert ready_project.lab("run", "waiting", "--detach").returncode == 0
    wait_for_output(ready_project, "waiting for it")
    (job,) = runs_there(ready_project)
    for process in processes_of(job):
        with suppress(ProcessLookupError):  # it has ended with another one
            os.kill(int(process.name), signal.SIGKILL)
    followed = ready_project.lab("attach", job.id)
    assert followed.returncode == 1
    assert f"Run {job.id} was killed on machine in cell [2/2] Waiting" in followed.stderr
    assert "too little memory" in followed.stderr


@pytest.mark.slow
def test_same_run_is_taken_up_unless_the_code_or_a_parameter_is_new(
    ready_project: ReadyProject,
) -> None:
    write_lab(ready_project, "waiting", WAITING)

    def start(*more: str) -> str:
        done = ready_project.lab("run", "waiting", "--detach", *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1].split()[-1]

    first = start()
    assert start() == first
    assert start("-p", "name", "gone") != first
    assert start("--again") != first
    write_lab(ready_project, "waiting", WAITING + "\n# %%\nprint('more')\n")
    assert start() != first
    running = [job for job in runs_there(ready_project) if job.state == "running"]
    assert len(running) == 4
    several = ready_project.lab("stop")
    assert several.returncode == 2
    assert "4 runs are in progress" in several.stderr
    assert ready_project.lab("stop", "--all").returncode == 0
    assert {job.state for job in runs_there(ready_project)} == {"stopped"}


@pytest.mark.slow
def test_code_that_differs_from_what_runs_there_is_named(ready_project: ReadyProject) -> None:
    write_lab(ready_project, "counting", COUNTING)
    assert "differs" not in ready_project.lab("run", "counting", "--detach").stderr
    lab = ready_project.project.path / "labs" / "counting.py"
    lab.write_text(COUNTING.replace("hello", "good morning"))
    told = ready_project.lab("run", "counting", "--detach", "--again")
    assert "differs between here and machine, and the machine's version runs" in told.stderr
    assert "lab push" in told.stderr
    assert ready_project.lab("stop", "--all").returncode == 0


@pytest.mark.slow
def test_repository_with_only_a_lab_toml_is_enough(
    ready_project: ReadyProject, tmp_path: Path
) -> None:
    here, there = tmp_path / "minimal", ready_project.folder.with_name("minimal")
    for root in (here, there):
        (root / "labs").mkdir(parents=True)
        (root / "labs" / "counting.py").write_text(COUNTING)
        (root / "lab.toml").write_text(
            f'format = 2\n\n[remote]\nalias = "machine"\nfolder = "{there}"\n'
        )
    (there / ".venv").symlink_to((ready_project.folder / ".venv").resolve())
    minimal = BakedProject(path=here, package="")
    done = minimal.run(sys.executable, "-m", "ml_remote", "run", "counting", check=False)
    assert done.returncode == 0, done.stderr
    assert "[3/3] Out loud" in done.stderr.splitlines()
    (results,) = (here / "outputs" / "counting").iterdir()
    assert (results / "counted.txt").read_text() == "hello 3"


@pytest.mark.slow
def test_lab_runs_on_this_computer_too(
    ready_project: ReadyProject, environment: LabEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where bytecode goes elsewhere, everything would be compiled again for this project.
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    without = ready_project.lab("run", "mnistlab", "--local")
    assert without.returncode == 1
    assert without.stderr.splitlines()[-1] == "Next: lab setup --local"
    (ready_project.project.path / ".venv").symlink_to(environment.project.path / ".venv")
    write_lab(ready_project, "counting", COUNTING)
    done = ready_project.lab("run", "labs/counting.ipynb", "--local", "-p", "limit", "1")
    assert done.returncode == 0, done.stderr
    (results,) = results_here(ready_project)
    assert (results / "counted.txt").read_text() == "hello 1"
    assert "  counting.html" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == f"Next: open {results / 'counting.html'}"
    record = json.loads((results / "run.json").read_text())
    assert (record["lab"], record["launcher"]) == ("labs/counting.py", "local")
    assert (record["parameters"], record["exit_code"]) == ([["limit", "1"]], 0)
    write_lab(ready_project, "failing", FAILING)
    failed = ready_project.lab("run", "failing", "--local")
    assert failed.returncode == 1
    assert "ZeroDivisionError" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("Error: labs/failing.py failed in cell [2/2]")
    wrong = ready_project.lab("run", "failing", "--local", "-p", "x", "1")
    assert wrong.returncode == 2
    assert ready_project.server.logins == 0


@pytest.mark.slow
def test_terminal_shows_the_cell_and_what_it_printed_last(ready_project: ReadyProject) -> None:
    write_lab(ready_project, "waiting", WAITING.replace("waiting for it", "[bold]waiting"))
    code, screen = at_terminal(
        [sys.executable, "-B", "lab.py", "run", "waiting"],
        answers={},
        folder=ready_project.project.path,
        when_shown=("[bold]waiting", (ready_project.folder / "go").touch),
    )
    assert code == 0, screen
    assert "[2/2] Waiting" in screen
