"""`lab pull` and `lab runs --remove` with the runs of a real machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from remote_project import RemoteProject
from tool_helpers import at, at_terminal, wait_until

from ml_remote import jobs
from ml_remote.jobs.about import About, Run

pytestmark = pytest.mark.slow

ABOUT = About(kind="run", title="labs/mnistlab.py", run=Run(lab="labs/mnistlab.py"))
WRITING = (
    'out="outputs/mnistlab/$LAB_JOB"; mkdir -p "$out"; printf half >"$out/checkpoint.pt"; '
    'printf theirs >"$out/mistakes.csv"; until [ -e go ]; do sleep 0.1; done; '
    'printf whole >"$out/checkpoint.pt"; printf later >"$out/mistakes.csv"'
)


def start_run(remote_project: RemoteProject, command: str) -> str:
    """Start a run of a lab there that does this; return its id."""
    return jobs.start(at(remote_project.client, remote_project.name), ABOUT, command).id


def is_over(remote_project: RemoteProject, run: str) -> bool:
    return jobs.find_job(at(remote_project.client, remote_project.name), run).is_over


def test_files_of_a_run_that_continues_are_not_final(remote_project: RemoteProject) -> None:
    remote_project.push()
    run = start_run(remote_project, WRITING)
    wait_until(lambda: (remote_project.folder / f"outputs/mnistlab/{run}/mistakes.csv").exists())
    done = remote_project.lab("pull")
    assert done.returncode == 0, done.stderr
    assert f"not final: mnistlab/{run}" in done.stderr
    here = remote_project.project.path / "outputs" / "mnistlab" / run
    assert (here / "checkpoint.pt").read_text() == "half"
    (here / "mistakes.csv").write_text("mine")
    refused = remote_project.lab("runs", "--remove", run, "--yes")
    assert refused.returncode == 1
    assert f"Next: End it first: lab stop {run}" in refused.stderr
    remote_project.write_there("go", "")
    wait_until(lambda: is_over(remote_project, run))
    remote_project.commit_there("there.txt", "there")
    head = remote_project.git("rev-parse", "HEAD")
    done = remote_project.lab("pull", run)
    assert done.returncode == 0, done.stderr
    assert (here / "checkpoint.pt").read_text() == "whole"
    assert f"kept: mnistlab/{run}/mistakes.csv" in done.stderr
    assert (here / "mistakes.csv").read_text() == "mine"
    assert (here / "mistakes.csv.from-machine").read_text() == "later"
    assert remote_project.git("rev-parse", "HEAD") == head  # with RUN no commits move
    assert remote_project.lab("pull", "--only", "*.csv").returncode == 0
    assert remote_project.git("rev-parse", "HEAD") == head

    # With --overwrite the person's version is kept; what is deleted stays so until it is named.
    done = remote_project.lab("pull", run, "--overwrite")
    assert "Your versions are kept as" in done.stdout
    assert (here / "mistakes.csv").read_text() == "later"
    (backup,) = here.glob("mistakes.csv.mine-*")
    assert backup.read_text() == "mine"
    shutil.rmtree(here)
    done = remote_project.lab("pull")
    assert (done.returncode, here.exists()) == (0, False)
    assert "2 files that you deleted here were skipped" in done.stdout
    assert remote_project.git("rev-parse", "HEAD") != head
    assert remote_project.lab("pull", run).returncode == 0
    assert (here / "checkpoint.pt").read_text() == "whole"
    assert "matches" in remote_project.lab("pull", "no-such-run").stderr


def test_removing_a_run_shows_it_and_asks_first(
    remote_project: RemoteProject, tmp_path: Path
) -> None:
    remote_project.push()
    remote_project.write_there("go", "")
    first, second = (start_run(remote_project, WRITING) for _ in range(2))
    wait_until(lambda: is_over(remote_project, first) and is_over(remote_project, second))
    assert remote_project.lab("pull").returncode == 0
    here = remote_project.project.path / "outputs" / "mnistlab"
    (here / first / "notes.txt").write_text("mine")
    # What a link in it leads to is not removed with it.
    (tmp_path / "precious").write_text("mine")
    (here / first / "link").symlink_to(tmp_path)
    refused = remote_project.lab("runs", "--remove", first)
    assert refused.returncode == 2
    assert f"outputs/mnistlab/{first} (2 files" in refused.stdout
    assert "notes.txt" in refused.stdout
    command = [sys.executable, "-B", "lab.py", "runs", "--remove", first]
    code, screen = at_terminal(
        command,
        answers={"[y/N]:": "n"},
        folder=remote_project.project.path,
        variables=dict(os.environ),
    )
    assert (code, (here / first / "notes.txt").exists()) == (0, True), screen
    assert "Nothing was removed" in screen
    done = remote_project.lab("runs", "--remove", first, "--yes")
    assert done.returncode == 0, done.stderr
    assert not (here / first).exists()
    assert not (remote_project.folder / f"outputs/mnistlab/{first}").exists()
    assert not (remote_project.folder / f".lab/jobs/{first}").exists()
    assert (tmp_path / "precious").read_text() == "mine"
    assert (here / second / "checkpoint.pt").read_text() == "whole"
    assert (remote_project.folder / f"outputs/mnistlab/{second}/checkpoint.pt").exists()
    listed = remote_project.lab("runs").stdout
    assert second in listed
    assert f"{first} " not in listed
    assert "outputs/ is already up to date" in remote_project.lab("pull").stdout
