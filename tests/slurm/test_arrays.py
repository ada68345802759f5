"""Sweeps as job arrays on a real Slurm: tasks that it starts again, and sets that are proposed."""

from __future__ import annotations

import json
import re
import sys
import time

import pytest
from slurm_cluster import ClusterProject, number_of
from tool_helpers import wait_until

SET = """\
import os, pathlib, time
folder = pathlib.Path(os.environ["LAB_OUTPUT_DIR"])
with open(folder / "ran.txt", "a") as file:
    print(os.environ["seed"], os.environ["SLURM_ARRAY_JOB_ID"], file=file)
while os.environ["seed"] == "1" and not (folder.parent.parent / "go").exists():
    time.sleep(0.1)
"""


@pytest.mark.slow
def test_sweep_is_job_arrays_whose_tasks_slurm_may_start_again(
    cluster_project: ClusterProject,
) -> None:
    for root in (cluster_project.here.project.path, cluster_project.here.folder):
        (root / "set.py").write_text(SET, encoding="utf-8")
    sweep = ("--sweep", "seed=1..6", "--at-once", "2", "--slurm", "--detach")
    begun = cluster_project.here.lab("run", *sweep, "--", "python", "set.py")
    assert begun.returncode == 0, begun.stderr
    assert "6 runs, 2 at once: python set.py on machine" in begun.stderr
    (folder,) = (cluster_project.here.folder / ".lab" / "sweeps").iterdir()
    results = cluster_project.here.folder / "outputs" / "set"
    first = results / f"{folder.name}-1" / "ran.txt"
    wait_until(lambda: first.exists() and bool(first.read_text()))
    # The cluster holds arrays of up to four tasks; the second one waits for the first.
    job = cluster_project.only_run()
    assert job.state == "running"
    (waiting_for,) = {number_of(job)} & set(first.read_text().split())
    numbers = (
        (cluster_project.here.folder / ".lab/jobs" / job.id / "slurm-array").read_text().split()
    )
    assert numbers[0] == waiting_for
    assert len(numbers) == 2
    assert re.search("[12] running", cluster_project.here.lab("runs").stdout)

    claim = json.loads((folder / "claims" / "1.0").read_text())
    cluster_project.cluster.command("scontrol", "requeue", claim["task"])
    # Slurm takes no time to start before the task has left its node, and a node takes nothing that
    # was granted in the second in which it ended the task.
    wait_until(lambda: cluster_project.cluster.state(claim["task"]) == "PENDING")
    time.sleep(2)
    assert not cluster_project.only_run().is_over
    assert "interrupted" not in cluster_project.here.lab("runs").stdout
    (cluster_project.here.folder / "outputs" / "go").touch()
    cluster_project.cluster.command("scontrol", "update", f"JobId={claim['task']}", "StartTime=now")
    assert cluster_project.here.lab("runs", "--wait", folder.name).returncode == 0
    ended = [json.loads(path.read_text()) for path in (folder / "done").glob("[0-9]*")]
    assert sorted((one["set"], one["exit_code"]) for one in ended) == [
        *((number, 0) for number in range(1, 7))
    ]
    assert "6 of 6 done" in cluster_project.here.lab("runs").stdout

    (cluster_project.here.folder / "outputs" / "go").unlink()
    assert cluster_project.here.lab("run", *sweep, "--", "python", "set.py").returncode == 0
    wait_until(lambda: len(list(results.glob("*-1/ran.txt"))) == 2)
    second = max((cluster_project.here.folder / ".lab" / "sweeps").iterdir())
    stopped = cluster_project.here.lab("stop", second.name)
    assert "was stopped, with every process it had started" in stopped.stdout, stopped.stderr
    assert cluster_project.cluster.command("squeue", "--noheader") == ""
    assert f"{second.name}  stopped" in cluster_project.here.lab("runs").stdout


PROPOSED = """\
import json, os, sys
with open(os.environ["LAB_OUTPUT_DIR"] + "/metrics.json", "w") as file:
    json.dump({"loss": float(sys.argv[1]) ** 2}, file)
"""


@pytest.mark.slow
def test_tasks_of_an_array_have_their_sets_proposed(cluster_project: ClusterProject) -> None:
    for root in (cluster_project.here.project.path, cluster_project.here.folder):
        (root / "proposed.py").write_text(PROPOSED, encoding="utf-8")
    # The tests' own interpreter has Optuna.
    (cluster_project.here.folder / ".venv").unlink()
    python = cluster_project.here.folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    words = ("--sweep", "x=-1.0..1.0", "--optimize", "min:loss", "--samples", "3", "--slurm")
    done = cluster_project.here.lab("run", *words, "--", "python", "proposed.py", "{x}")
    assert done.returncode == 0, done.stderr
    (sweep,) = (cluster_project.here.folder / ".lab/sweeps").iterdir()
    claims = [json.loads(path.read_text()) for path in (sweep / "claims").glob("[0-9]*")]
    assert len({claim["task"] for claim in claims}) == 3
    outcomes = [json.loads(path.read_text()) for path in (sweep / "done").glob("[0-9]*")]
    assert sorted(one["set"] for one in outcomes) == [1, 2, 3]
    assert all(0 <= one["value"] <= 1 for one in outcomes)
    journal = cluster_project.here.project.path / f"outputs/proposed/{sweep.name}-0/optuna.journal"
    assert len(journal.read_text().splitlines()) > 3
