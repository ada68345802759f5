"""`lab run`, `runs`, `attach` and `stop` on a real OpenSSH server, with real kernels."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest
from baking import BakedProject
from environment import LabEnvironment
from remote_fixtures import Workplace, at_terminal, runs_there, wait_until

from ml_remote.errors import UsageError
from ml_remote.exit_codes import OWN_FAILURE
from ml_remote.jobs.about import About, Run
from ml_remote.jobs.job import Job, State
from ml_remote.project import Project
from ml_remote.runs import labs
from ml_remote.runs.listing import choose_run, duration_in_words, table

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


def write_lab(workplace: Workplace, name: str, source: str) -> None:
    """Write a lab, here and there."""
    for root in (workplace.project.path, workplace.folder):
        (root / "labs" / f"{name}.py").write_text(source, encoding="utf-8")


def results_here(workplace: Workplace) -> list[Path]:
    return sorted((workplace.project.path / "outputs").glob("*/*"))


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


def wait_for_output(workplace: Workplace, text: str) -> None:
    logs = workplace.folder / ".lab" / "jobs"
    wait_until(lambda: any(text in log.read_text() for log in logs.glob("*/log")))


def test_lab_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "labs").mkdir()
    for script in ("net-v1.py", "net-v1.2.py"):
        (tmp_path / "labs" / script).touch()
    for name in ("net-v1.2", "labs/net-v1.2.py", "labs/net-v1.2.ipynb"):
        assert labs.find_lab(Project(root=tmp_path), name) == "labs/net-v1.2.py"


@pytest.mark.slow
def test_run_brings_its_results_home(workplace: Workplace) -> None:
    write_lab(workplace, "counting", COUNTING)
    greeting = 'it\'s "ü"\n; $HOME'
    done = workplace.lab("run", "counting", "-p", "limit", "-1", "-p", "greeting", greeting)
    assert done.returncode == 0, done.stderr
    (results,) = results_here(workplace)
    assert (results / "counted.txt").read_text() == f"{greeting} -1"
    steps = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert steps == ["[1/3] Counting", "[2/3] Out loud", "[3/3] Out loud"]
    assert greeting not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("All cells of labs/counting.py -p limit -1 -p greeting")
    assert lines[1].startswith("3 files came to outputs/ ")
    assert lines[2:-1] == [
        "Results:",
        f"  {results / 'counted.txt'}",
        f"  {results / 'counting.html'}",
        f"  {results / 'counting.ipynb'}",
    ]
    assert lines[-1] == f"Next: open {results / 'counting.html'}"
    heading, row, _ = workplace.lab("runs").stdout.splitlines()
    assert heading.split() == ["RUN", "STATE", "STARTED", "TOOK", "EXIT", "LAB"]
    assert row.startswith(f"{results.name}  done ")


@pytest.mark.slow
def test_failing_cell_is_shown_and_its_notebook_comes_home(workplace: Workplace) -> None:
    write_lab(workplace, "failing", FAILING)
    done = workplace.lab("run", "labs/failing.py")
    assert done.returncode == 1
    (results,) = results_here(workplace)
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
    everything = workplace.lab("attach", "--verbose")
    assert everything.returncode == 1
    assert "this cell is fine" in everything.stderr.splitlines()


@pytest.mark.slow
def test_kernel_that_is_killed_is_told_with_the_cell_it_ran(workplace: Workplace) -> None:
    write_lab(workplace, "failing", FAILING.replace("1 / 0", "import os; os.kill(os.getpid(), 9)"))
    done = workplace.lab("run", "failing")
    assert done.returncode == 1
    assert "The kernel was killed while it ran this cell." in done.stderr
    assert "failed in cell [2/2] A wrong step; exit code 1." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_what_cannot_be_run_is_told_in_a_sentence(workplace: Workplace) -> None:
    missing = workplace.lab("run", "labs/nothing.py")
    assert missing.returncode == 2
    assert "There is no lab 'labs/nothing.py'. The labs of this project: " in missing.stderr
    outside = workplace.lab("run", "/etc/hosts")
    assert outside.returncode == 2
    wrong = workplace.lab("run", "mnistlab", "-p", "epoch", "1")
    assert wrong.returncode == 2
    error, hint = wrong.stderr.splitlines()[-2:]
    assert error.startswith("Error: This lab has no parameter 'epoch'. It has: dataset, epochs,")
    assert hint == "Next: Did you mean -p epochs?"
    both = workplace.lab("run", "mnistlab", "--local", "--detach")
    assert both.returncode == 2
    (workplace.folder / ".lab").mkdir()  # nothing was sent for these
    (workplace.folder / ".lab" / "environment.incomplete").touch()
    incomplete = workplace.lab("run", "mnistlab")
    assert incomplete.returncode == 1
    assert "The environment on machine is incomplete." in incomplete.stderr
    (workplace.folder / ".venv").unlink()
    (workplace.folder / ".lab" / "environment.incomplete").unlink()
    without = workplace.lab("run", "mnistlab")
    assert without.returncode == 1
    assert without.stderr.splitlines()[-1] == "Next: Make it: lab setup"
    workplace.folder.rename(workplace.folder.with_name("elsewhere"))
    for command in (["run", "mnistlab"], ["runs"], ["attach"], ["stop"]):
        gone = workplace.lab(*command)
        assert gone.returncode == (OWN_FAILURE if command == ["attach"] else 1)
        assert gone.stderr.splitlines()[-1] == "Next: Send the project there: lab up"
    workplace.client.close()
    workplace.server.stop()
    for command in (["run", "mnistlab"], ["runs"], ["attach"], ["stop"], ["status"]):
        unreachable = workplace.lab(*command)
        assert unreachable.returncode == (OWN_FAILURE if command == ["attach"] else 1)
        assert "nothing listens on its port" in unreachable.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["asking", "started", "in a cell"])
def test_killed_laptop_loses_nothing(workplace: Workplace, stage: str) -> None:
    write_lab(workplace, "waiting", WAITING)
    process = workplace.start_lab("run", "waiting")
    if stage == "asking":
        wait_until(lambda: workplace.server.logins == 1)
    elif stage == "started":
        wait_until(lambda: list(workplace.folder.glob(".lab/jobs/*/about.json")))
    else:
        wait_for_output(workplace, "waiting for it")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    again = workplace.start_lab("run", "waiting")
    wait_for_output(workplace, "waiting for it")
    (workplace.folder / "go").touch()
    output, _ = again.communicate()
    assert again.returncode == 0, output
    (job,) = runs_there(workplace)
    assert job.state == "done"
    (results,) = results_here(workplace)
    assert results.name == job.id
    assert (results / "waiting.html").is_file()
    if stage != "asking":  # then it may have begun or not
        assert "This run is going on already" in output


@pytest.mark.slow
def test_laptop_killed_while_results_come_home_has_them_after_attach(workplace: Workplace) -> None:
    source = (
        f"{COUNTING}\n# %%\nPath(os.environ['LAB_OUTPUT_DIR'], 'big').write_bytes(bytes(10**8))"
    )
    write_lab(workplace, "counting", source)
    process = workplace.start_lab("run", "counting")
    wait_until(lambda: list(workplace.project.path.glob("outputs/.incoming/**/big*")))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = workplace.lab("attach")
    assert done.returncode == 0, done.stderr
    (job,) = runs_there(workplace)
    results = workplace.project.path / "outputs" / "counting" / job.id
    assert (results / "big").stat().st_size == 10**8
    assert (results / "counted.txt").read_text() == "hello 3"


@pytest.mark.slow
def test_interrupting_leaves_the_run_and_stopping_ends_it_with_its_kernel(
    workplace: Workplace,
) -> None:
    write_lab(workplace, "waiting", WAITING)
    process = workplace.start_lab("run", "waiting")
    wait_for_output(workplace, "waiting for it")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    (job,) = runs_there(workplace)
    assert process.returncode == 1
    assert f"The run goes on on machine. To end it: lab stop {job.id}" in output
    assert output.splitlines()[-1] == f"Next: lab attach {job.id}"
    assert job.state == "running"
    assert len(processes_of(job)) >= 2  # the headless run and its kernel

    listed = workplace.lab("runs")
    assert f"{job.id}  running" in listed.stdout
    assert listed.stdout.splitlines()[-1] == f"Next: lab attach {job.id}"
    assert f"Run         {job.id}  labs/waiting.py" in workplace.lab("status").stdout
    following = workplace.start_lab("attach")
    wait_until(lambda: workplace.server.logins == 3)  # the run, its follower, and this one
    stopped = workplace.lab("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert f"{job.id} (labs/waiting.py) was stopped" in stopped.stdout
    assert processes_of(job) == []
    output, _ = following.communicate()
    assert following.returncode == 1
    assert f"Run {job.id} was stopped in cell [2/2] Waiting." in output
    assert workplace.lab("stop").stdout.splitlines()[0] == "No run is going on on machine."
    assert "is stopped." in workplace.lab("stop", job.id[-8:]).stdout


@pytest.mark.slow
def test_run_that_is_killed_there_is_told_from_one_that_fails(workplace: Workplace) -> None:
    write_lab(workplace, "waiting", WAITING)
    assert workplace.lab("run", "waiting", "--detach").returncode == 0
    wait_for_output(workplace, "waiting for it")
    (job,) = runs_there(workplace)
    for process in processes_of(job):
        os.kill(int(process.name), signal.SIGKILL)
    followed = workplace.lab("attach", job.id)
    assert followed.returncode == 1
    assert f"Run {job.id} was killed on machine in cell [2/2] Waiting" in followed.stderr
    assert "more memory than there is" in followed.stderr


@pytest.mark.slow
def test_same_run_is_taken_up_unless_the_code_or_a_parameter_is_new(workplace: Workplace) -> None:
    write_lab(workplace, "waiting", WAITING)

    def start(*more: str) -> str:
        done = workplace.lab("run", "waiting", "--detach", *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1].split()[-1]

    first = start()
    assert start() == first
    assert start("-p", "name", "gone") != first
    assert start("--again") != first
    write_lab(workplace, "waiting", WAITING + "\n# %%\nprint('more')\n")
    assert start() != first
    running = [job for job in runs_there(workplace) if job.state == "running"]
    assert len(running) == 4
    several = workplace.lab("stop")
    assert several.returncode == 2
    assert "4 runs are going on" in several.stderr
    assert workplace.lab("stop", "--all").returncode == 0
    assert {job.state for job in runs_there(workplace)} == {"stopped"}


@pytest.mark.slow
def test_code_that_differs_from_what_runs_there_is_named(workplace: Workplace) -> None:
    write_lab(workplace, "counting", COUNTING)
    assert "differs" not in workplace.lab("run", "counting", "--detach").stderr
    lab = workplace.project.path / "labs" / "counting.py"
    lab.write_text(COUNTING.replace("hello", "good morning"))
    told = workplace.lab("run", "counting", "--detach", "--again")
    assert "differs between here and machine; what runs is what is there" in told.stderr
    assert "lab push" in told.stderr
    assert workplace.lab("stop", "--all").returncode == 0


@pytest.mark.slow
def test_repository_with_only_a_lab_toml_is_enough(workplace: Workplace, tmp_path: Path) -> None:
    here, there = tmp_path / "minimal", workplace.folder.with_name("minimal")
    for root in (here, there):
        (root / "labs").mkdir(parents=True)
        (root / "labs" / "counting.py").write_text(COUNTING)
        (root / "lab.toml").write_text(
            f'format = 2\n\n[remote]\nalias = "machine"\nfolder = "{there}"\n'
        )
    (there / ".venv").symlink_to((workplace.folder / ".venv").resolve())
    minimal = BakedProject(path=here, package="")
    done = minimal.run(sys.executable, "-m", "ml_remote", "run", "counting", check=False)
    assert done.returncode == 0, done.stderr
    assert "[3/3] Out loud" in done.stderr.splitlines()
    (results,) = (here / "outputs" / "counting").iterdir()
    assert (results / "counted.txt").read_text() == "hello 3"


@pytest.mark.slow
def test_lab_runs_on_this_computer_too(
    workplace: Workplace, environment: LabEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where bytecode goes elsewhere, everything would be compiled anew for this project.
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    without = workplace.lab("run", "mnistlab", "--local")
    assert without.returncode == 1
    assert without.stderr.splitlines()[-1] == "Next: lab setup --local"
    (workplace.project.path / ".venv").symlink_to(environment.project.path / ".venv")
    write_lab(workplace, "counting", COUNTING)
    done = workplace.lab("run", "labs/counting.ipynb", "--local", "-p", "limit", "1")
    assert done.returncode == 0, done.stderr
    (results,) = results_here(workplace)
    assert (results / "counted.txt").read_text() == "hello 1"
    assert f"  {results / 'counting.html'}" in done.stdout.splitlines()
    write_lab(workplace, "failing", FAILING)
    failed = workplace.lab("run", "failing", "--local")
    assert failed.returncode == 1
    assert "ZeroDivisionError" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("Error: labs/failing.py failed in cell [2/2]")
    wrong = workplace.lab("run", "failing", "--local", "-p", "x", "1")
    assert wrong.returncode == 2
    assert workplace.server.logins == 0


@pytest.mark.slow
def test_terminal_shows_the_cell_and_what_it_printed_last(workplace: Workplace) -> None:
    write_lab(workplace, "waiting", WAITING.replace("waiting for it", "[bold]waiting"))
    code, screen = at_terminal(
        [sys.executable, "-B", "lab.py", "run", "waiting"],
        answers={},
        folder=workplace.project.path,
        when_shown=("[bold]waiting", (workplace.folder / "go").touch),
    )
    assert code == 0, screen
    assert "[2/2] Waiting" in screen


def job(id: str, *, state: State = "done", minutes: int = 1) -> Job:
    return Job(
        id=id,
        about=About(kind="run", title="labs/a.py", run=Run(lab="labs/a.py")),
        state=state,
        started=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        ended=None,
        exit_code=None,
        host="host",
        duration=timedelta(minutes=minutes),
    )


RUNS = [job("2026-01-02_03-04-05"), job("2026-01-02_03-04-05_2"), job("2026-01-03_03-04-06")]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [(None, 2), ("2026-01-02_03-04-05", 0), ("05_2", 1), ("01-03", 2), ("04-06", 2)],
)
def test_run_is_chosen_by_a_part_of_its_time(text: str | None, chosen: int) -> None:
    assert choose_run(RUNS, text, alias="machine") is RUNS[chosen]


def test_run_that_goes_on_is_chosen_before_a_newer_one() -> None:
    going_on = job("2026-01-01_00-00-00", state="running")
    assert choose_run([going_on, *RUNS], None, alias="machine") is going_on


@pytest.mark.parametrize(
    ("text", "said"), [("2027", "No run on machine"), ("2026", "3 runs on machine")]
)
def test_unclear_run_is_told_with_what_there_is(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        choose_run(RUNS, text, alias="machine")
    assert "2026-01-03_03-04-06" in raised.value.message
    with pytest.raises(UsageError, match="No lab has been run on machine yet"):
        choose_run([], None, alias="machine")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (3600, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations_are_short(seconds: int, words: str) -> None:
    assert duration_in_words(timedelta(seconds=seconds)) == words


def test_how_long_a_lost_run_took_is_not_known() -> None:
    lost = table([job("1", state="lost", minutes=900)])[1]
    assert lost.split()[-2:] == ["?", "labs/a.py"]
