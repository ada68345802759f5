"""`lab run --sweep` on a real OpenSSH server, with real workers that are killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT
from remote_project import RemoteProject
from terminal_picture import COLUMNS, draw_terminal
from tool_helpers import at_terminal, wait_until

PICTURE = TEMPLATE_ROOT / "build" / "screenshots" / "sweep.svg"
# Notes each time that it runs, and waits where there is something to wait for.
PROGRAM = """\
import os, pathlib, sys, time
lr, seed = sys.argv[1], os.environ["seed"]
with open(os.environ["LAB_OUTPUT_DIR"] + "/ran.txt", "a") as file:
    file.write(f"{lr} {seed}\\n")
while pathlib.Path(os.environ["LAB_OUTPUT_DIR"], "../../hold").exists() and seed == "1":
    time.sleep(0.05)
if lr == "bad":
    sys.exit(f"the rate of seed {seed} is bad")
"""
SWEEP = ("--sweep", "lr=0.1,0.03", "--sweep", "seed=0..2")
COMMAND = ("--", "python3", "train.py", "{lr}")


@pytest.fixture
def sweeping(remote_project: RemoteProject) -> RemoteProject:
    """Return a project on the machine with a program, and a stand-in for an environment."""
    remote_project.commit("train.py", PROGRAM)
    remote_project.push()
    remote_project.have_environment()
    return remote_project


def sweeps(remote_project: RemoteProject) -> list[Path]:
    return sorted((remote_project.folder / ".lab/sweeps").iterdir())


def exit_codes(sweep: Path) -> dict[int, int]:
    """Return how the sets that have ended did."""
    texts = [json.loads(path.read_text()) for path in (sweep / "done").glob("[0-9]*")]
    return {one["set"]: one["exit_code"] for one in texts}


def claims(sweep: Path) -> dict[str, Mapping[str, str]]:
    return {
        path.name: json.loads(path.read_text()) for path in (sweep / "claims").glob("[0-9]*.[0-9]*")
    }


def ran(remote_project: RemoteProject, sweep: Path) -> list[int]:
    """Return how often each set has begun, as its results tell that came home."""
    folder = remote_project.project.path / "outputs/train"
    files = [folder / f"{sweep.name}-{number}" / "ran.txt" for number in range(1, 7)]
    return [len(path.read_text().splitlines()) for path in files]


def processes(mark: str) -> dict[int, bool]:
    """Return the processes with that variable, and whether each belongs to a set."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another one's
            variables = (process / "environ").read_bytes().split(b"\0")
            if mark.encode() in variables:
                found[int(process.name)] = any(one.startswith(b"LAB_SET=") for one in variables)
    return found


def kill_worker(remote_project: RemoteProject, job: str) -> None:
    """Kill every process of a worker but the program that it runs."""
    folder = remote_project.folder.resolve() / ".lab/jobs" / job
    runner = int((folder / "pid").read_text().split()[0])
    found = processes(f"LAB_JOB_FOLDER={folder}/")
    for pid in (runner, *(pid for pid, is_of_set in found.items() if not is_of_set)):
        with suppress(ProcessLookupError):  # it has ended by itself
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_each_set_is_done_once_whichever_worker_is_killed(sweeping: RemoteProject) -> None:
    hold = sweeping.folder / "outputs/hold"
    sweeping.write_there("outputs/hold", "")
    begun = sweeping.lab("run", "--detach", "--at-once", "2", *SWEEP, *COMMAND)
    assert begun.returncode == 0, begun.stderr
    assert "6 runs, 2 at once: python3 train.py '{lr}' on machine" in begun.stderr
    (sweep,) = sweeps(sweeping)
    # Both workers wait in the sets 2 and 5, those of seed 1.
    wait_until(lambda: {"2.0", "5.0"} <= set(claims(sweep)))
    first, second = (claims(sweep)[name]["job"] for name in ("2.0", "5.0"))
    assert "2 running" in sweeping.lab("runs").stdout

    kill_worker(sweeping, first)
    kill_worker(sweeping, second)
    listed = sweeping.lab("runs")
    assert f"{sweep.name}  interrupted" in listed.stdout
    assert f"Next: lab run --resume {sweep.name}" in listed.stdout
    assert f"Next: lab run --resume {sweep.name}" in sweeping.lab("status").stdout
    other = sweeping.lab("run", "--", "true")
    offer = f"Sweep {sweep.name} was interrupted. To continue it: lab run --resume {sweep.name}"
    assert (other.returncode, offer in other.stderr) == (0, True), other.stderr

    # After a restart the machine has another boot id, and the process numbers mean nothing.
    for path in (sweep / "claims").glob("[25].0"):
        path.write_text(path.read_text().replace('"boot": "', '"boot": "0'))
        os.utime(path, (time.time() - 999, time.time() - 999))
    again = sweeping.start_lab("run", "--resume", sweep.name)
    there = sweeping.folder / f"outputs/train/{sweep.name}-2/ran.txt"
    wait_until(lambda: len(there.read_text().splitlines()) == 2)
    kill_worker(sweeping, claims(sweep)["2.1"]["job"])
    hold.unlink()
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert exit_codes(sweep) == dict.fromkeys(range(1, 7), 0)
    assert ran(sweeping, sweep) == [1, 3, 1, 1, 2, 1]
    for number in range(1, 7):
        assert not processes(f"LAB_SET={sweep.resolve()}/{number}")


@pytest.mark.slow
def test_sets_that_share_the_folder_run_one_after_the_other(sweeping: RemoteProject) -> None:
    (sweeping.project.path / "lab.local.toml").write_text('[outputs]\nfolders = ["figures"]\n')
    shutil.rmtree(sweeping.folder / ".git")
    sweeping.write_there("outputs/hold", "")
    words = ("--detach", "--sweep", "seed=1,2", "--sweep", "lr=0.1", *COMMAND)
    refused = sweeping.lab("run", "--at-once", "2", *words)
    assert refused.returncode == 125
    assert "would mix their files in figures/. Nothing was started." in refused.stderr
    assert not (sweeping.folder / ".lab/sweeps").exists()

    begun = sweeping.lab("run", "--at-once", "1", *words)
    assert begun.returncode == 0, begun.stderr
    (sweep,) = sweeps(sweeping)
    wait_until(lambda: "1.0" in claims(sweep))
    for more in (("--", "true"), ("--sweep", "seed=3,4", "--at-once", "1", "--", "true")):
        other = sweeping.lab("run", *more)
        assert other.returncode == 125
        assert "would be counted as results of this run too" in other.stderr
    (sweeping.folder / "outputs/hold").unlink()
    assert sweeping.lab("runs", "--wait", sweep.name).returncode == 0
    at_once = sweeping.lab("run", "--resume", sweep.name, "--at-once", "2", *words[1:5])
    assert "has all of these 2 sets already" in at_once.stderr
    at_once = sweeping.lab("run", "--resume", sweep.name, "--at-once", "2", *grown(3, 4))
    assert "would mix their files" in at_once.stderr
    assert exit_codes(sweep) == {1: 0, 2: 0}


def grown(*seeds: int) -> tuple[str, ...]:
    return ("--sweep", f"seed={','.join(map(str, seeds))}", "--sweep", "lr=0.1")


@pytest.mark.slow
def test_sweep_is_stopped_resumed_and_grows(sweeping: RemoteProject) -> None:
    hold = sweeping.folder / "outputs/hold"
    sweeping.write_there("outputs/hold", "")
    following = sweeping.start_lab(
        "run", "--at-once", "1", "--sweep", "lr=0.1,bad", "--sweep", "seed=0..2", *COMMAND
    )
    wait_until(lambda: bool(list(sweeping.folder.glob(".lab/sweeps/*/claims/2.0"))))
    (sweep,) = sweeps(sweeping)
    # It waits in set 2. What was stopped is no failure, and counts as left.
    stopped = sweeping.lab("stop", sweep.name)
    assert f"{sweep.name} (--sweep" in stopped.stdout
    assert "was stopped, with every process it had started: 1 of 6 done." in stopped.stdout
    said, _ = following.communicate(timeout=300)
    assert following.returncode == 1
    assert f"1 of 6 done; it was stopped.\nNext: To see all of them: lab runs {sweep.name}" in said
    assert exit_codes(sweep) == {1: 0}
    assert f"{sweep.name}  stopped " in sweeping.lab("runs").stdout

    hold.unlink()
    resumed = sweeping.lab("run", "--resume", sweep.name)
    assert resumed.returncode == 1, resumed.stderr
    assert 'the last line of the first that failed: "the rate of seed 0 is bad"' in resumed.stderr
    assert exit_codes(sweep) == {1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 6: 1}
    opened = sweeping.lab("runs", sweep.name).stdout
    assert "3 of 6 done, 3 failed: --sweep lr=0.1,bad" in opened
    assert re.search(rf"{sweep.name}-5  failed  \d s   1     bad  1", opened), opened
    document = json.loads(sweeping.lab("runs", sweep.name, "--json").stdout)["sweeps"][0]
    assert (document["state"], document["failed"]) == ("failed", 3)
    assert document["sets"][3]["said"] == "the rate of seed 0 is bad"

    check_one_set(sweeping, sweep)
    check_growing(sweeping, sweep)
    check_removing(sweeping, sweep)


def check_one_set(sweeping: RemoteProject, sweep: Path) -> None:
    """Check one set, which has no job of its own: it is shown and removed."""
    fifth, none = f"{sweep.name[-8:]}-5", f"{sweep.name}-9"
    shown = sweeping.lab("runs", fifth).stdout
    assert f"{sweep.name}-5  failed" in shown
    assert f"{sweep.name}-4" not in shown
    assert "has no set 9; it has 6." in sweeping.lab("runs", none).stderr
    for command in ("attach", "stop", "runs --wait", "stop --forget"):
        whole = sweeping.lab(*command.split(), fifth)
        assert f"{sweep.name}-5 is one set of the sweep {sweep.name}" in whole.stderr
        assert f"lab {command} {sweep.name}, or to see that set: lab show" in whole.stderr
    gone = sweeping.lab("runs", "--remove", f"{sweep.name}-2", "--yes")
    assert f"Removed {sweep.name}-2, here and on machine." in gone.stdout, gone.stderr
    for root in (sweeping.folder, sweeping.project.path):
        assert not (root / f"outputs/train/{sweep.name}-2").exists()
        assert (root / f"outputs/train/{sweep.name}-3").exists()
    assert "3 of 6 done, 3 failed" in sweeping.lab("runs").stdout


def check_growing(sweeping: RemoteProject, sweep: Path) -> None:
    """Check that new sets run before those that failed: 10, 11, 12, 4 and 5 fail in a row."""
    for path in sorted((sweeping.project.path / "outputs/train").glob("*-[45]/ran.txt")):
        path.unlink()
    assert "2 files copied to outputs/" in sweeping.lab("pull", sweep.name).stdout

    added = ("--sweep", "lr=0.1,bad", "--sweep", "seed=2..5")
    grown = sweeping.lab("run", "--resume", sweep.name, "--at-once", "1", *added)
    assert grown.returncode == 1
    assert "continues: 9 runs left, 6 of them new" in grown.stderr
    why = 'it ended, because five sets in a row failed: "the rate of seed 1 is bad"'
    assert f"6 of 12 done, 5 failed; {why}." in grown.stderr
    assert f"{sweep.name}  stopped " in sweeping.lab("runs").stdout
    same = sweeping.lab("run", "--resume", sweep.name, *added)
    assert f"{sweep.name} has all of these 8 sets already." in same.stderr


def check_removing(sweeping: RemoteProject, sweep: Path) -> None:
    removed = sweeping.lab("runs", "--remove", sweep.name, "--yes")
    assert f"on machine: outputs/train/{sweep.name}-* (" in removed.stdout
    assert f"here: outputs/train/{sweep.name}-* (" in removed.stdout
    assert f"Removed {sweep.name}, here and on machine." in removed.stdout
    for root in (sweeping.folder, sweeping.project.path):
        assert not list(root.glob(f"outputs/train/{sweep.name}*"))
    assert not sweep.exists()
    assert not list((sweeping.folder / ".lab/jobs").iterdir())

    words = ["run", "--at-once", "2", *SWEEP, *COMMAND]
    code, written = at_terminal(
        [sys.executable, "-B", "lab.py", *words],
        answers={},
        folder=sweeping.project.path,
        variables={"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "50"},
    )
    assert code == 0, written
    # As it is before the end takes the line of the progress away.
    last = re.search(r"(?s).* running[^\r\n]*", written)
    assert last is not None, written
    draw_terminal(f"$ lab {' '.join(words)}\r\n{last[0]}", PICTURE, title="lab run --sweep")
