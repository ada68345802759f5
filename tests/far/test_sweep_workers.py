"""Real workers of a sweep on this computer, which are killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ml_remote import scripts
from ml_remote.far.exit_codes import ExitCode
from ml_remote.far.installed import install
from ml_remote.far.login.sweep_claims import TAKEOVERS
from ml_remote.far.login.sweep_proposals import Proposals
from ml_remote.far.login.sweep_worker import SAME, Worker, main

SWEEP = "2026-01-02_03-04-05"


class Project:
    """A folder with a sweep, of a command in sh whose first argument is the number of a set."""

    def __init__(self, root: Path, command: str, count: int, **more: object) -> None:
        self.root, self.sweep = root, root / ".lab/sweeps" / SWEEP
        self.far = install(root / ".lab/far")
        for name in ("sets", "claims", "done", "rounds"):
            (self.sweep / name).mkdir(parents=True)
        about: dict[str, object] = {"command": ["{n}"], "name": "train", "output_folder": "train"}
        about |= {"folders": ["figures"], **more}
        (self.sweep / "about.json").write_text(json.dumps(about))
        (self.sweep / "command").write_text(command)
        if more:
            (self.sweep / "wanted").write_text(f"{count}\n")
            return
        lines = [json.dumps({"set": n, "parameters": [["n", str(n)]]}) for n in range(1, count + 1)]
        (self.sweep / "sets/000001.jsonl").write_text("\n".join(lines) + "\n")

    def outcomes(self) -> dict[int, dict[str, object]]:
        """Return how the sets have ended."""
        texts = [path.read_text() for path in (self.sweep / "done").glob("[0-9]*")]
        return {one["set"]: one for one in map(json.loads, texts)}

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """Yield a worker, which does not outlive the block."""
        words = [sys.executable, "-s", "-E", str(self.far), "sweep", SWEEP]
        settings = {**os.environ, "LAB_JOB": "worker"}
        with subprocess.Popen(
            words, cwd=self.root, env=settings, stdout=subprocess.DEVNULL
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run_to_its_end(self, count: int, *, workers: int, most: int) -> int:
        """Make workers run this many sets, and kill some of them; return how many."""
        chance, kills = random.Random(1), 0
        running: list[subprocess.Popen[bytes]] = []
        deadline = time.monotonic() + 300
        with ExitStack() as blocks:
            while len(self.outcomes()) < count:
                assert time.monotonic() < deadline
                running = [one for one in running if one.poll() is None]
                while len(running) < workers:
                    running.append(blocks.enter_context(self.worker()))
                time.sleep(chance.uniform(0.2, 0.6))
                if kills < most:
                    chance.choice(running).kill()
                    kills += 1
            for one in running:  # the last one writes down how it was
                one.wait(60)
        return kills


def until_its_end(project: Project) -> int:
    """Start a worker again until none is killed; return how often that was."""
    for number in range(20):
        with project.worker() as process:
            if process.wait(120) != -signal.SIGKILL:
                return number
    raise AssertionError("each worker was killed")


@pytest.mark.slow
def test_each_of_four_hundred_sets_is_done_once_while_workers_are_killed(tmp_path: Path) -> None:
    project = Project(tmp_path, 'echo x >>"ran-$1"\n', 400)
    kills = project.run_to_its_end(400, workers=3, most=20)
    outcomes = project.outcomes()
    assert sorted(outcomes) == [*range(1, 401)]
    assert {one["exit_code"] for one in outcomes.values()} == {0}
    begun = [(tmp_path / f"ran-{n}").read_text().count("x") for n in outcomes]
    assert 400 <= sum(begun) <= 400 + kills
    assert kills > 5


@pytest.mark.slow
def test_no_more_sets_are_proposed_than_asked_for_while_workers_are_killed(tmp_path: Path) -> None:
    command = (
        'echo x >>"ran-$LAB_JOB"\nmkdir -p "outputs/train/$LAB_JOB"\n'
        'echo "{\\"loss\\": ${1#-}}" >"outputs/train/$LAB_JOB/metrics.json"\n'
    )
    space = {"n": {"low": -1.0, "high": 1.0, "whole": False, "log": False}}
    project = Project(tmp_path, command, 6, space=space, optimize="min:loss", sample_seed=0)
    kills = project.run_to_its_end(6, workers=2, most=6)
    outcomes = project.outcomes()
    assert {number: one["exit_code"] for number, one in outcomes.items()} == dict.fromkeys(
        range(1, 7), 0
    )
    sets = sorted(path.name for path in (project.sweep / "sets").glob("*.jsonl"))
    assert sets == [f"{number:06}.jsonl" for number in range(1, 7)]
    begun = [path.read_text().count("x") for path in tmp_path.glob("ran-*")]
    assert 6 <= sum(begun) <= 6 + kills
    (study,) = tmp_path.glob(f"outputs/train/{SWEEP}-0/optuna.journal")
    told = [json.loads(line) for line in study.read_text().splitlines()]
    assert sum("user_attrs" in one and one.get("value") is not None for one in told) == 6


@pytest.mark.slow
def test_set_whose_workers_die_is_lost_after_the_fourth_and_the_others_are_done(
    tmp_path: Path,
) -> None:
    command = 'echo x >>"ran-$1"\n[ "$1" != 2 ] || kill -9 $PPID\nsleep 0\n'
    project = Project(tmp_path, command, 3)
    assert until_its_end(project) == TAKEOVERS + 1
    outcomes = project.outcomes()
    assert {number: one["exit_code"] for number, one in outcomes.items()} == {1: 0, 2: -1, 3: 0}
    assert outcomes[2]["said"] == "its worker died 4 times"
    assert (tmp_path / "ran-2").read_text().count("x") == TAKEOVERS + 1
    # Resumed, it has four more tries.
    (project.sweep / "rounds/1").touch()
    (project.sweep / "command").write_text('echo x >>"ran-$1"\n')
    assert until_its_end(project) == 0
    assert project.outcomes()[2]["exit_code"] == 0
    assert (tmp_path / "ran-1").read_text().count("x") == 1


@pytest.mark.parametrize(
    ("said", "same"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/{}/a.csv'", True),
        ("cannot open {}.yaml for reading", True),
        ("C:\\data\\{} is missing", True),
        ("<Model object at 0x7f3a{}> is not callable", True),
        ("the rate of seed {n} is bad", True),
        ("loss is -{n}.5e-3", True),
        ("unknown optimizer {}", False),
        ("KeyError: '{}'", False),
    ],
)
def test_failures_are_the_same_though_a_number_or_a_file_differs(
    tmp_path: Path, said: str, same: bool
) -> None:
    project = Project(tmp_path, "", SAME)
    worker = Worker(project.sweep)
    for number, letter in zip(range(1, SAME + 1), "abcdef", strict=False):
        one = {"set": number, "exit_code": 1, "ended": number, "attempt": 0, "round": 0}
        text = said.format(letter, n=number)
        (project.sweep / f"done/{number}.json").write_text(json.dumps({**one, "said": text}))
    worker._stop_if_hopeless()
    assert (project.sweep / "stopped").exists() is same


def test_disk_without_hard_links_is_told_at_the_start(tmp_path: Path) -> None:
    """`ln` is a stand-in: it refuses as it does on FAT."""
    ln = tmp_path / "bin/ln"
    ln.parent.mkdir()
    ln.write_text("#!/bin/sh\necho 'ln: Operation not permitted' >&2\nexit 1\n")
    ln.chmod(0o755)
    project = Project(tmp_path, "", 2)
    (project.sweep / "started").write_text("1\n")
    have = {**os.environ, "PATH": f"{ln.parent}:{os.environ['PATH']}"}
    begun = ("make-sweep", "{}", "", '{"set": 1}', "far", "", "", "0a-0")
    added = ("resume-sweep", SWEEP, "000003", '{"set": 3}', "", "far", "")
    there = ("resume-sweep", SWEEP, "000001", '{"set": 1}', "", "far", "")
    for (name, *words), code in (
        (begun, ExitCode.NO_LINKS),
        (added, ExitCode.NO_LINKS),
        (there, ExitCode.CHANGED),
    ):
        script = scripts.script(name)
        done = subprocess.run(["sh", "-c", script, "-", tmp_path, *words], env=have)
        assert done.returncode == code, name
    assert [path.name for path in project.sweep.parent.iterdir()] == [SWEEP]
    assert [path.name for path in (project.sweep / "sets").iterdir()] == ["000001.jsonl"]


@pytest.mark.parametrize(
    ("metrics", "judged"),
    [
        ('{"loss": 0.5, "a": {"b": 1}}', (0, "", 0.5)),
        ('{"loss": NaN}', (0, "", None)),
        ('{"loss": -Infinity}', (0, "", None)),
        ('{"accuracy": 1, "f1": 2}', (48, "it saved no metric loss; it has: accuracy, f1", None)),
        ('{"loss": "low"}', (48, "it saved no metric loss; it has: none", None)),
        ("[1", (48, "it saved no metric loss; it has: none", None)),
    ],
)
def test_set_without_the_metric_has_failed(
    tmp_path: Path, metrics: str, judged: tuple[int, str, float | None]
) -> None:
    (tmp_path / "metrics.json").write_text(metrics)
    proposals = Proposals(tmp_path, {"optimize": "min:loss"}, before_start=lambda: None)
    assert proposals.judge(tmp_path, 0) == judged
    assert proposals.judge(tmp_path, 3) == (3, "", None)
    assert Proposals(tmp_path, {}, before_start=lambda: None).judge(tmp_path, 0) == (0, "", None)


def test_without_git_what_is_new_in_the_folders_of_outputs_is_a_sets_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = 'mkdir -p figures/sub && echo "$1" >"figures/sub/$1.txt"\n'
    project = Project(tmp_path, command, 2)
    monkeypatch.chdir(tmp_path)
    kept = {number: signal.getsignal(number) for number in (15, 2, 1)}
    try:
        assert main([SWEEP]) == 0
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert {one["exit_code"] for one in project.outcomes().values()} == {0}
    found = sorted(
        path.relative_to(tmp_path / "outputs/train").as_posix()
        for path in (tmp_path / "outputs/train").glob("*/figures/sub/*")
    )
    assert found == [f"{SWEEP}-{number}/figures/sub/{number}.txt" for number in (1, 2)]
