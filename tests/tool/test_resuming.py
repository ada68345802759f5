"""`lab run --resume`, on a real OpenSSH server, with a real training."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tool_helpers import ReadyProject, runs_there, wait_until

from ml_remote.jobs.about import About, Run
from ml_remote.jobs.job import Job, SlurmJob
from ml_remote.runs.resuming import resume_command

CHOSEN = ("mnistlab", "-p", "dataset", "digits", "-p", "epochs", "50")
TITLE = "labs/mnistlab.py -p dataset digits -p epochs 50"


@pytest.mark.slow
def test_stopped_training_goes_on_after_its_last_epoch(ready_project: ReadyProject) -> None:
    assert ready_project.lab("run", *CHOSEN, "--detach").returncode == 0
    (first,) = runs_there(ready_project)
    outputs = ready_project.folder / "outputs" / "mnistlab"
    checkpoint = outputs / first.id / "checkpoint.pt"
    wait_until(checkpoint.exists)
    assert ready_project.lab("stop").returncode == 0
    before = checkpoint.read_bytes()
    followed = ready_project.lab("attach")
    assert followed.returncode == 1
    again = f"lab run {TITLE} --resume {first.id}"
    assert f"To continue from its last checkpoint: {again}" in followed.stderr.splitlines()

    # The lab and its parameters are those of that run.
    done = ready_project.lab("run", "--resume", first.id[-8:])
    assert done.returncode == 0, done.stderr
    assert f"{first.id} ran: {TITLE}" in done.stderr
    _, second = runs_there(ready_project)
    assert second.title == f"{TITLE} --resume {first.id}"
    log = (ready_project.folder / ".lab" / "jobs" / second.id / "log").read_text()
    assert "Continuing after epoch" in log
    assert "epoch  1 of " not in log
    metrics = json.loads((outputs / second.id / "metrics.json").read_text())
    assert metrics["accuracy"] > 0.98
    assert checkpoint.read_bytes() == before


@pytest.mark.slow
def test_what_cannot_be_gone_on_from_is_told(ready_project: ReadyProject) -> None:
    none = ready_project.lab("run", "mnistlab", "--resume", "14-05")
    assert none.returncode == 2
    assert (
        "No checkpoint of labs/mnistlab.py on machine matches '14-05'. The latest: none;"
    ) in none.stderr
    outputs = ready_project.folder / "outputs" / "mnistlab"
    for run in ("2026-01-02_14-05-06", "2026-01-03_14-05-06", "2026-01-04_10-00-00"):
        (outputs / run).mkdir(parents=True)
        (outputs / run / "checkpoint.pt").write_text("no checkpoint")
    (outputs / "2026-01-05_14-05-06").mkdir()  # ended before its first epoch did
    several = ready_project.lab("run", "mnistlab", "--resume", "14-05")
    assert several.returncode == 2
    assert "2 checkpoints of labs/mnistlab.py on machine match '14-05'" in several.stderr
    assert "2026-01-02_14-05-06, 2026-01-03_14-05-06." in several.stderr
    damaged = ready_project.lab("run", "mnistlab", "-p", "dataset", "digits", "--resume", "01-04")
    assert damaged.returncode == 1
    assert (
        "checkpoint.pt is not a checkpoint of this code. To start again, move it." in damaged.stderr
    )
    here = ready_project.lab("run", "mnistlab", "--local", "--resume", "01-04")
    assert here.returncode == 2
    assert "--resume and --local cannot be combined" in here.stderr


def test_command_that_goes_on_names_the_run_itself() -> None:
    parameters = (("dataset", "digits"), ("epochs", "50"))
    run = Run(lab="labs/mnistlab.py", parameters=parameters, resume="2026-01-01_10-00-00")

    def command(run: Run, *, slurm: SlurmJob | None = None, alias: str | None = None) -> str:
        job = Job(
            id="2026-01-02_14-05-06",
            about=About(kind="run", title=run.title, run=run),
            state="failed",
            started=datetime(2026, 1, 2, tzinfo=UTC),
            ended=None,
            duration=timedelta(seconds=5),
            exit_code=1,
            host="gpu",
            slurm=slurm,
        )
        return resume_command(job, alias=alias).removesuffix(f" --resume {job.id}")

    assert command(replace(run, hosts=("a", "b"))) == f"lab run {TITLE} --hosts a,b"
    slurm = SlurmJob(id="1", state="TIMEOUT", reason="")
    assert command(run, slurm=slurm) == f"lab run {TITLE} --slurm"
    assert command(run, alias="second") == f"lab run {TITLE} --alias second"
