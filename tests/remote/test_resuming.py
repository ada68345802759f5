"""`lab run --resume`, on a real OpenSSH server, with a real training."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from remote_fixtures import Workplace, runs_there, wait_until

from ml_remote.runs.job import Job, SlurmJob
from ml_remote.runs.resuming import resume_command

CHOSEN = ("mnistlab", "-p", "dataset", "digits", "-p", "epochs", "50")
TITLE = "labs/mnistlab.py -p dataset digits -p epochs 50"


@pytest.mark.slow
def test_stopped_training_goes_on_after_its_last_epoch(workplace: Workplace) -> None:
    assert workplace.lab("run", *CHOSEN, "--detach").returncode == 0
    (first,) = runs_there(workplace)
    outputs = workplace.folder / "outputs" / "mnistlab"
    checkpoint = outputs / first.id / "checkpoint.pt"
    wait_until(checkpoint.exists)
    assert workplace.lab("stop").returncode == 0
    before = checkpoint.read_bytes()
    followed = workplace.lab("attach")
    assert followed.returncode == 1
    again = f"lab run {TITLE} --resume {first.id}"
    assert f"To go on from its last checkpoint: {again}" in followed.stderr.splitlines()

    done = workplace.lab("run", *CHOSEN, "--resume", first.id[-8:])
    assert done.returncode == 0, done.stderr
    _, second = runs_there(workplace)
    assert second.name == f"{TITLE} --resume {first.id}"
    log = (workplace.folder / ".lab" / "jobs" / second.id / "log").read_text()
    assert "The training goes on after epoch" in log
    assert "epoch  1 of 50" not in log
    metrics = json.loads((outputs / second.id / "metrics.json").read_text())
    assert metrics["accuracy"] > 0.98
    assert checkpoint.read_bytes() == before


@pytest.mark.slow
def test_what_cannot_be_gone_on_from_is_told(workplace: Workplace) -> None:
    none = workplace.lab("run", "mnistlab", "--resume", "14-05")
    assert none.returncode == 2
    assert (
        "No checkpoint of labs/mnistlab.py on machine can be meant by '14-05'. The latest: none;"
    ) in none.stderr
    outputs = workplace.folder / "outputs" / "mnistlab"
    for run in ("2026-01-02_14-05-06", "2026-01-03_14-05-06", "2026-01-04_10-00-00"):
        (outputs / run).mkdir(parents=True)
        (outputs / run / "checkpoint.pt").write_text("no checkpoint")
    (outputs / "2026-01-05_14-05-06").mkdir()  # ended before its first epoch did
    several = workplace.lab("run", "mnistlab", "--resume", "14-05")
    assert several.returncode == 2
    assert "2 checkpoints of labs/mnistlab.py on machine can be meant by '14-05'" in several.stderr
    assert "2026-01-02_14-05-06, 2026-01-03_14-05-06." in several.stderr
    damaged = workplace.lab("run", "mnistlab", "-p", "dataset", "digits", "--resume", "01-04")
    assert damaged.returncode == 1
    assert "checkpoint.pt cannot be read as a checkpoint" in damaged.stderr
    here = workplace.lab("run", "mnistlab", "--local", "--resume", "01-04")
    assert here.returncode == 2
    assert "without --slurm, --resume," in here.stderr


def test_command_that_goes_on_names_the_run_itself() -> None:
    run = Job(
        id="2026-01-02_14-05-06",
        kind="run",
        name=f"{TITLE} --hosts a,b --resume 2026-01-01_10-00-00",
        state="failed",
        started=datetime(2026, 1, 2, tzinfo=UTC),
        ended=None,
        duration=timedelta(seconds=5),
        exit_code=1,
        host="gpu",
    )
    assert resume_command(run) == f"lab run {TITLE} --hosts a,b --resume {run.id}"
    clustered = replace(
        run, name="labs/mnistlab.py", slurm=SlurmJob(id="1", state="TIMEOUT", reason="")
    )
    assert resume_command(clustered) == f"lab run labs/mnistlab.py --slurm --resume {run.id}"
    elsewhere = resume_command(replace(run, name="labs/mnistlab.py"), alias="second")
    assert elsewhere == f"lab run labs/mnistlab.py --alias second --resume {run.id}"
