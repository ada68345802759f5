"""`lab run --gpus`: cards of one machine handed out to runs, with a stand-in for nvidia-smi."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_project import RemoteProject
from tool_helpers import at, wait_until

from ml_remote import jobs
from ml_remote.far.login.card_locks import FOLDER
from ml_remote.ui.console import Console

pytestmark = pytest.mark.slow

# A stand-in: no registry has nvidia-smi without a driver. It lists four cards that nobody uses.
NVIDIA_SMI = """\
#!/bin/sh
for card in {cards}; do
    case "$*" in
    -L) echo "GPU 0: NVIDIA H200 (UUID: $card)" ;;
    *--query-gpu=uuid,*) echo "$card, 0, NVIDIA H200, 0, 4, 143771" ;;
    *--query-gpu=*) echo "$card" ;;
    esac
done
"""
TRAIN = """\
import os, time
from pathlib import Path
import later
Path("checkpoints/last.pt").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
print("code", later.VERSION, flush=True)
while not Path("data/go").exists():
    time.sleep(0.05)
"""


def runs(remote_project: RemoteProject) -> list[jobs.Job]:
    return jobs.list_jobs(
        at(remote_project.client, remote_project.name), console=Console(), kind="run"
    )


@pytest.fixture
def cards(remote_project: RemoteProject) -> Iterator[list[str]]:
    """Yield four cards of the machine, where the project is and its program can run."""
    cards = [f"GPU-{uuid.uuid4()}" for _ in range(4)]
    program = remote_project.server.account.write(
        "bin/nvidia-smi", NVIDIA_SMI.format(cards=" ".join(cards)), mode=0o755
    )
    remote_project.server.stop()
    remote_project.server.start(SetEnv=f'"PATH={program.parent}:{os.defpath}:/usr/bin:/bin"')
    settings = remote_project.project.read("lab.toml")
    remote_project.commit("lab.toml", settings + '\n[outputs]\nfolders = ["checkpoints"]\n')
    (remote_project.project.path / "later.py").write_text("VERSION = 1\n")
    remote_project.commit("train.py", TRAIN)
    remote_project.push()
    remote_project.have_environment()
    remote_project.write_there("data/here", "")
    yield cards
    for name in cards:
        Path(FOLDER, name).unlink(missing_ok=True)


def start(remote_project: RemoteProject, count: int) -> str:
    """Start a run with so many cards; return its id."""
    words = ("--gpus", str(count), "--detach", "--", "python", "train.py")
    done = remote_project.lab("run", *words)
    assert done.returncode == 0, done.stderr
    return runs(remote_project)[-1].id


def log(remote_project: RemoteProject, run: str) -> str:
    return (remote_project.folder / ".lab/jobs" / run / "log").read_text()


def check_line(remote_project: RemoteProject, first: str, second: str, third: str) -> None:
    """Check that the lists show who has the cards, and who waits in which place."""
    lines = {line.split()[0]: line for line in remote_project.lab("runs").stdout.splitlines()}
    assert " running " in lines[first]
    assert "queued (1 of 2 in line)" in lines[second]
    assert "queued (2 of 2 in line)" in lines[third]
    status = remote_project.lab("status").stdout
    user = remote_project.server.account.user
    assert f"held by {user} for run {first}" in status
    assert f"In line 1   {user} for 2 cards, run {second}" in status
    document = json.loads(remote_project.lab("status", "--json").stdout)
    assert [gpu["held_for"] for gpu in document["gpus"]] == [first] * 4
    waiting = {"place": 2, "cards": 1, "user": user, "run": third}
    assert waiting in document["waiting_for_cards"]
    place_of = {job["id"]: job["place"] for job in document["jobs"]}
    assert place_of == {first: None, second: {"number": 1, "of": 2}, third: {"number": 2, "of": 2}}


def check_sweep(remote_project: RemoteProject, cards: list[str]) -> None:
    """Check that each set of a sweep holds its own cards, as many at once as there are cards."""
    for number, count in ((1, 4), (2, 2)):
        more = () if number == 1 else ("--gpus", str(number))
        done = remote_project.lab("run", "--sweep", "seed=0..3", *more, "--", "python", "train.py")
        assert done.returncode == 0, done.stderr
        assert f"4 runs, {count} at once" in done.stderr
        sweep = done.stdout.partition("Sweep ")[2].split()[0]
        home = remote_project.project.path / "outputs" / "train"
        for one in range(1, 5):
            held = (home / f"{sweep}-{one}" / "checkpoints" / "last.pt").read_text().split(",")
            assert len(held) == number
            assert set(held) <= set(cards)


def test_runs_take_cards_in_line(remote_project: RemoteProject, cards: list[str]) -> None:
    refused = remote_project.lab("run", "--gpus", "5", "--detach", "--", "python", "train.py")
    assert refused.returncode == 125
    assert "This machine has 4 cards, but the run needs 5." in refused.stderr
    assert runs(remote_project) == []

    first = start(remote_project, 4)
    wait_until(lambda: "code" in log(remote_project, first))
    assert f"Cards: {', '.join(cards)}." in log(remote_project, first)
    second = start(remote_project, 2)
    wait_until(lambda: "number 1 of 1 in line" in log(remote_project, second))
    third = start(remote_project, 1)
    wait_until(lambda: "number 2 of 2 in line" in log(remote_project, third))
    # It looks on its own, too.
    wait_until(lambda: "number 1 of 2 in line" in log(remote_project, second))
    check_line(remote_project, first, second, third)

    # One that waits is stopped; the next moves up, with the code that it was asked for with.
    (remote_project.project.path / "later.py").write_text("VERSION = 2\n")
    remote_project.commit("other.py", "")
    remote_project.push()
    assert remote_project.lab("stop", second).returncode == 0
    wait_until(lambda: "number 1 of 1 in line" in log(remote_project, third))
    assert remote_project.lab("stop", first).returncode == 0
    wait_until(lambda: "code 1" in log(remote_project, third))
    assert f"Cards: {cards[0]}." in log(remote_project, third)
    remote_project.write_there("data/go", "")
    assert remote_project.lab("attach", third).returncode == 0
    home = remote_project.project.path / "outputs" / "train" / third
    assert (home / "checkpoints" / "last.pt").read_text() == cards[0]
    assert [job.state for job in runs(remote_project)] == ["stopped", "stopped", "done"]
    assert not (remote_project.project.path / "outputs" / "train" / second / "checkpoints").exists()
    check_sweep(remote_project, cards)
