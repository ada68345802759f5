"""Jobs of other versions of the tool: of the last one that was copied into projects, and newer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from environment import LabEnvironment
from openssh_server import Account
from tool_helpers import LocalProject, ReadyProject, at, runs_there, wait_until
from vendored import vendored_project

from ml_remote import jobs
from ml_remote.errors import LabError
from ml_remote.jobs.about import About, DamagedError, NewerFormatError, Run
from ml_remote.settings import FORMAT
from ml_remote.ssh.client import Client
from ml_remote.ui.console import Console

COUNTING = """\
# %% [markdown]
# # Counting

# %% tags=["parameters"]
greeting = "hello"

# %%
import os
import json
from dataclasses import replace
from pathlib import Path

Path(os.environ["LAB_OUTPUT_DIR"], "counted.txt").write_text(greeting)
"""
WAITING = """\
# %% [markdown]
# # Waiting

# %% tags=["parameters"]
name = "go"

# %%
import time
import json
from dataclasses import replace
from pathlib import Path

print("waiting for it", flush=True)
while not Path(name).exists():
    time.sleep(0.1)
"""


@pytest.fixture
def vendored(
    ready_project: ReadyProject, environment: LabEnvironment, tmp_path: Path, home: Path
) -> LocalProject:
    """Return a project of the copied version, in place of the machine's one; its labs wait."""
    made = vendored_project(
        tmp_path, home=home, ready_project=ready_project, environment=environment
    )
    for root in (made.project.path, ready_project.folder, ready_project.project.path):
        (root / "labs" / "counting.py").write_text(COUNTING)
        (root / "labs" / "waiting.py").write_text(WAITING)
    return made


@pytest.mark.slow
def test_runs_of_the_copied_version_are_listed_followed_and_fetched(
    ready_project: ReadyProject, vendored: LocalProject
) -> None:
    counted = vendored.lab("run", "counting", "-p", "greeting", "good morning")
    assert counted.returncode == 0, counted.stderr
    assert vendored.lab("run", "waiting", "--detach").returncode == 0
    first, second = runs_there(ready_project)
    assert (first.state, second.state) == ("done", "running")
    assert not (ready_project.folder / ".lab" / "jobs" / first.id / "about.json").exists()
    listed = ready_project.lab("runs")
    assert listed.returncode == 0, listed.stderr
    _, one, other, _ = listed.stdout.splitlines()
    assert one.startswith(f"{first.id}  done ")
    assert one.endswith("labs/counting.py -p greeting 'good morning'")
    assert other.startswith(f"{second.id}  running ")
    assert f"Run         {second.id}  labs/waiting.py" in ready_project.lab("status").stdout

    fetched = ready_project.lab("attach", first.id)
    assert fetched.returncode == 0, fetched.stderr
    results = ready_project.project.path / "outputs" / "counting" / first.id
    assert (results / "counted.txt").read_text() == "good morning"
    assert fetched.stdout.splitlines()[-1] == f"Next: open {results / 'counting.html'}"

    following = ready_project.start_lab("attach")
    assert following.stdout is not None
    assert any("waiting for it" in line for line in iter(following.stdout.readline, ""))
    (ready_project.folder / "go").touch()
    rest, _ = following.communicate()
    assert following.returncode == 0, rest
    assert "All cells of labs/waiting.py ran on machine in " in rest


@pytest.mark.slow
def test_run_of_the_copied_version_is_stopped_and_then_resumed(
    ready_project: ReadyProject, vendored: LocalProject
) -> None:
    chosen = ("mnistlab", "-p", "dataset", "digits", "-p", "epochs", "5000")
    assert vendored.lab("run", *chosen, "--detach").returncode == 0
    (job,) = runs_there(ready_project)
    checkpoint = ready_project.folder / "outputs" / "mnistlab" / job.id / "checkpoint.pt"
    wait_until(checkpoint.exists)
    stopped = ready_project.lab("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert (
        f"{job.id} ({job.title}) was stopped, with every process it had started."
    ) in stopped.stdout
    ended = ready_project.lab("attach")
    assert ended.returncode == 1
    again = "lab run labs/mnistlab.py -p dataset digits -p epochs 5000 --resume"
    assert f"To continue from its last checkpoint: {again} {job.id}" in ended.stderr


def test_job_that_cannot_be_read_is_named_and_left_out(
    machine: Client, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.write("project/lab.toml", "")
    place = at(machine, "project")
    known = jobs.start(place, About(kind="run", title="a", run=Run(lab="labs/a.py")), "true")
    for number, text in enumerate(
        ("", "{", '{"format": 99}', "[2]", '{"format": 2}', "\x00\xff\t")
    ):
        folder = f"project/.lab/jobs/2001-01-01_00-00-0{number}"
        account.write(f"{folder}/about.json", text)
        account.write(f"{folder}/started", "1700000000\n")
    account.write("project/.lab/jobs/2001-01-01_00-00-07/about", "run not-a-number labs/a.py\n")
    assert [job.id for job in jobs.list_jobs(place, console=Console())] == [known.id]
    said = capsys.readouterr().err
    for number in (0, 1, 3, 4, 5, 7):
        assert f"Job 2001-01-01_00-00-0{number} on machine was skipped: its descr" in said
    assert "Job 2001-01-01_00-00-02 on machine was skipped: a newer version of lab started" in said
    with pytest.raises(LabError, match="cannot be read: a newer version of lab started it"):
        jobs.stop(place, "2001-01-01_00-00-02")
    with pytest.raises(LabError, match="cannot be read: its description is damaged"):
        jobs.find_job(place, "2001-01-01_00-00-00")


def test_description_is_one_line_of_ascii_and_read_back() -> None:
    run = Run(
        lab="labs/ü b.py",
        parameters=(("name", "it's\n\x1b[31m"), ("-x", "")),
        launcher="torchrun",
        hosts=("anna", "bert"),
        processes=2,
        resume="2026-01-02_03-04-05_2",
    )
    about = About(
        kind="worker", title=run.title, run=run, part_of="2026", host="bert", far=".lab/far/1"
    )
    text = about.to_json()
    assert text.isascii()
    assert text.isprintable()
    assert About.from_json(text) == about
    newer = text.replace('"kind"', '"colour": "blue", "kind"')
    assert About.from_json(newer) == about
    assert About.from_json(About(kind="setup", title="environment").to_json()).run is None


@pytest.mark.parametrize(
    "change",
    [
        {"lab": "labs/.."},
        {"lab": 3},
        {"hosts": ["-oProxyCommand=sh"]},
        {"hosts": "anna"},
        {"parameters": [["a"]]},
        {"parameters": {"a": "b"}},
        {"processes": "2"},
        {"resume": "../../secret"},
        {"title": None},
        {"format": "2"},
        {"kind": ""},
    ],
)
def test_description_that_no_version_writes_is_not_believed(change: dict[str, object]) -> None:
    good = About(kind="run", title="a", run=Run(lab="labs/a.py")).to_json()
    with pytest.raises(DamagedError):
        About.from_json(json.dumps({**json.loads(good), **change}))
    with pytest.raises(NewerFormatError):
        About.from_json(json.dumps({**json.loads(good), **change, "format": FORMAT + 1}))


@pytest.mark.parametrize(
    ("title", "run"),
    [
        ("labs/a.py", Run(lab="labs/a.py")),
        (
            "labs/a.py -p x '1 2' -p y -3 --resume 2026-01-01_00-00-00",
            Run(
                lab="labs/a.py",
                parameters=(("x", "1 2"), ("y", "-3")),
                resume="2026-01-01_00-00-00",
            ),
        ),
        (
            "labs/a.py --hosts anna,bert --nproc-per-node 2",
            Run(lab="labs/a.py", launcher="torchrun", hosts=("anna", "bert"), processes=2),
        ),
    ],
)
def test_what_the_copied_version_wrote_down_is_read(title: str, run: Run) -> None:
    about = About.from_vendored_text(f"run {title}", in_slurm=False)
    assert (about.run, about.title, about.format) == (run, title, 1)
    worker = About.from_vendored_text(f"worker 2026-01 on bert: {title}", in_slurm=False)
    assert (worker.run, worker.part_of, worker.host) == (run, "2026-01", "bert")
    assert About.from_vendored_text(f"run {title}", in_slurm=True).run == replace(
        run, launcher="slurm"
    )
