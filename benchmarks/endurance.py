"""What is lost when things go wrong at random moments: runs, connections, transfers, two people.

Run: python benchmarks/endurance.py [--quick] [--seed N]. Against a real OpenSSH server on this
computer, with git, rsync and sftp. Prints what was tried and what was lost: nothing; the exit code
is 1 otherwise. `--quick` does a twentieth of each, but none of the environment: `make test` has 25
sequences of those events.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from both_sides import LIMIT, RESULTS, Pair, commit, connection, digest, new_project
from environment_events import Computer, run_sequence
from programs import path_without
from tool_helpers import wait_until
from two_people import sequences

from ml_remote import jobs
from ml_remote.jobs.about import About, Run
from ml_remote.ui.console import Console

RUNS, RESTARTS, AT_ONCE, CUTS, SEQUENCES = 50, 10, 40, 25, 200
ENVIRONMENTS = "random sequences of what happens to an environment"
LINES = 200


def main() -> int:
    """Run every scenario, and print what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of each")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments and sequences")
    parser.add_argument("--only", choices=[name for name, _, _ in PARTS], help="one part")
    options = parser.parse_args()
    lost: list[str] = []
    with connection() as pair:
        for name, part, count in PARTS:
            if options.only not in (None, name) or (options.quick and name == ENVIRONMENTS):
                continue
            times = -(-count // 20) if options.quick else count
            began = time.monotonic()
            found = part(pair, times, random.Random(options.seed))
            print(
                f"{times:4} {name}: {time.monotonic() - began:.0f} s, {len(found)} lost", flush=True
            )
            lost += found
    print("Lost: " + ("\n  ".join(["", *lost]) if lost else "nothing"))
    return 1 if lost else 0


def killed_runs(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Kill a run's command or its runner; what it has printed and saved must be there after."""
    lost = []
    run = Run(lab="labs/a.py")
    command = (
        f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); "
        'echo "line $i"; echo $i >>"$LAB_JOB_FOLDER"all; sleep 0.01; done'
    )
    for _ in range(times):
        about = About(kind="run", title="labs/a.py", run=run)
        job = jobs.start(pair.machine, about, command)
        folder = pair.there / ".lab" / "jobs" / job.id
        runner = int((folder / "pid").read_text().split()[0])
        time.sleep(chance.random() * 3)
        whole_group = chance.random() < 0.5
        with suppress(ProcessLookupError):  # it was faster
            (os.killpg if whole_group else os.kill)(runner, signal.SIGKILL)
        ended = jobs.stop(pair.machine, job.id)
        lines: list[str] = []
        jobs.follow(pair.machine, job.id, console=Console(), on_line=lines.append, again="")
        saved = (folder / "all").read_text().split() if (folder / "all").exists() else []
        # A shell whose `sleep` was killed says so among the lines.
        printed = [line for line in lines if line.startswith("line ")]
        if not ended.is_over or printed[: len(saved)] != [f"line {one}" for one in saved]:
            lost.append(f"run {job.id} ({ended.state}): {lines} of {len(saved)}")
    return lost


def restarts(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Restart the server while somebody follows a job: no line is lost or repeated."""
    about = About(kind="run", title="labs/a.py", run=Run(lab="labs/a.py"))
    script = (
        'i=0; until [ -e "$LAB_JOB_FOLDER"go ]; do i=$((i+1)); echo "line $i"; sleep 0.01; done'
    )
    job = jobs.start(pair.machine, about, f"{script}; echo end")
    seen: list[str] = []

    def follow() -> None:
        jobs.follow(
            pair.machine, job.id, console=Console(), on_line=seen.append, again="", patience=LIMIT
        )

    follower = threading.Thread(target=follow)
    follower.start()
    for _ in range(times):
        known = len(seen)
        wait_until(lambda known=known: len(seen) > known + 10, limit=LIMIT)  # type: ignore[misc]
        time.sleep(chance.random())
        pair.server.stop()
        time.sleep(chance.random())
        pair.server.start()
    (pair.there / ".lab" / "jobs" / job.id / "go").touch()
    follower.join(LIMIT)
    expected = [*(f"line {i}" for i in range(1, len(seen))), "end"]
    return [] if seen == expected else [f"lines of {job.id}: {len(seen)} seen"]


def at_once(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Start many commands in one moment: each succeeds or says why not, and no commit is lost."""
    new_project(pair)
    (pair.here / "work.py").write_text("work = 1\n")
    commit(pair.here)
    choices = (("push",), ("pull",), ("runs",), ("status",), ("push", "--dirty"))
    commands = [pair.start_lab(*chance.choice(choices)) for _ in range(times)]
    lost = []
    for command in commands:
        with command:
            said = command.communicate(timeout=LIMIT * 3)[0]
        if "Traceback" in said or "did not expect" in said or command.returncode not in (0, 1):
            lost.append(f"{command.args!r}: {said[-500:]}")
    code, said = pair.lab("push")
    if code != 0 or (pair.there / "work.py").read_text() != "work = 1\n":
        lost.append(f"work.py did not reach the machine: {said}")
    return lost


def cut_transfers(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Kill a transfer by rsync, by sftp and by git at random moments, then repeat it."""
    lost = []
    with tempfile.TemporaryDirectory(prefix="lab-programs-") as folder:
        without_rsync = path_without(Path(folder), "rsync")
        for program, variables in (("rsync", {}), ("sftp", {"PATH": without_rsync}), ("git", {})):
            for _ in range(times):
                new_project(pair)
                lost += cut(pair, program, variables, chance)
    return lost


def cut(pair: Pair, program: str, variables: dict[str, str], chance: random.Random) -> list[str]:
    """Cut one transfer, repeat it, and compare."""
    names = RESULTS if program != "git" else ("weights.bin", "folder/more.bin")
    source, goal = (pair.here, pair.there) if program == "git" else (pair.there, pair.here)
    for name in names:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randrange(4_000_000)))
    own = goal / "outputs" / "lab" / "1" / "mine.csv"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("mine\n")
    word = "pull"
    if program == "git":
        commit(pair.here)
        word = "push"
    with pair.start_lab(word, **variables) as command:
        time.sleep(chance.random() * 2)
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.communicate()
    code, said = pair.lab(word, **variables)
    lost = [f"{program}: {said[-500:]}"] if code != 0 else []
    lost += [
        f"{program}: {name}"
        for name in names
        if not (goal / name).is_file() or digest(goal / name) != digest(source / name)
    ]
    return lost if own.read_text() == "mine\n" else [*lost, f"{program}: {own}"]


def environments(pair: Pair, times: int, chance: random.Random) -> list[str]:
    """Add and remove managers, fill disks, change lists, kill setups: one always works."""
    lost = []
    with tempfile.TemporaryDirectory(prefix="lab-environments-") as folder:
        computer = Computer.new(Path(folder))
        for seed in (chance.randrange(10**6) for _ in range(times)):
            try:
                run_sequence(computer, seed)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                lost.append(f"environment, seed {seed}: {error}")
    return lost


Part = Callable[[Pair, int, random.Random], list[str]]
PARTS: tuple[tuple[str, Part, int], ...] = (
    ("killed runs", killed_runs, RUNS),
    ("restarts of the server under a run that is followed", restarts, RESTARTS),
    ("commands at once", at_once, AT_ONCE),
    ("cut transfers by each of rsync, sftp and git", cut_transfers, CUTS),
    ("random sequences of two people", sequences, SEQUENCES),
    (ENVIRONMENTS, environments, SEQUENCES),
)


if __name__ == "__main__":
    sys.exit(main())
