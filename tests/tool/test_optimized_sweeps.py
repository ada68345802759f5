"""`lab run --optimize` with the real Optuna, on a real OpenSSH server."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import openssh_server
import optuna
import pytest
from baking import BakedProject
from openssh_server import Laptop
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState
from remote_project import RemoteProject, new_remote_project
from tool_helpers import wait_until

PROGRAM = """\
import json, math, os, pathlib, sys, time
rate, width = float(sys.argv[1]), os.environ["width"]
folder = pathlib.Path(os.environ["LAB_OUTPUT_DIR"])
with open(folder / "ran.txt", "a") as file:
    file.write(f"{rate}\\n")
while (folder / "../../hold").exists():
    time.sleep(0.05)
if rate > 0.03:
    sys.exit("the rate is too high")
values = {"loss": (math.log10(rate) + 3) ** 2 + (width == "8"), "grad/norm": 1.0}
(folder / "metrics.json").write_text(json.dumps(values))
"""
SWEEP = ("--sweep", "rate=log:1e-4..1e-1", "--sweep", "width=8,16", "--optimize", "min:loss")
COMMAND = ("--", "python3", "train.py", "{rate}")


@pytest.fixture
def optimizing(bake: Callable[..., BakedProject], laptop: Laptop) -> Iterator[RemoteProject]:
    """Yield a project on the machine with a program; the tests' interpreter is its environment."""
    with openssh_server.account(own=True) as account:
        settings = f'"HOME={account.home}"'
        with openssh_server.openssh_server(account, SetEnv=settings) as server:
            remote_project = new_remote_project(
                bake, laptop, server, folder=str(account.home / "project")
            )
            remote_project.commit("train.py", PROGRAM)
            remote_project.push()
            yield remote_project
            remote_project.client.close()


def have_environment(remote_project: RemoteProject, text: str) -> None:
    remote_project.server.account.write(f"{remote_project.name}/.venv/bin/python", text, mode=0o755)


def the_sweep(remote_project: RemoteProject) -> Path:
    (sweep,) = (remote_project.folder / ".lab/sweeps").iterdir()
    return sweep


def study_of(journal: Path, name: str) -> optuna.Study:
    return optuna.load_study(
        study_name=name, storage=JournalStorage(JournalFileBackend(str(journal)))
    )


def studies_in_the_dashboard(journal: Path) -> list[tuple[str, str]]:
    """Return the studies, and their directions, that optuna-dashboard shows of a journal."""
    port = openssh_server.free_port()
    address = f"http://127.0.0.1:{port}/api/studies"
    words = (Path(sys.executable).with_name("optuna-dashboard"), "--port", str(port), journal)
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as server:
        try:
            answers: list[bytes] = []

            def has_answered() -> bool:
                assert server.poll() is None
                with suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                    answers.append(answer.read())
                return bool(answers)

            wait_until(has_answered)
        finally:
            server.kill()
    found = json.loads(answers[0])["study_summaries"]
    return [(one["study_name"], *one["directions"]) for one in found]


def sets_ended(sweep: Path) -> dict[int, dict[str, Any]]:
    """Return what is noted of the sets that have ended."""
    texts = [json.loads(path.read_text()) for path in (sweep / "done").glob("[0-9]*")]
    return {one["set"]: one for one in texts}


@pytest.mark.slow
def test_optuna_proposes_and_is_told_and_its_study_is_made_of_our_records(
    optimizing: RemoteProject,
) -> None:
    have_environment(optimizing, '#!/bin/sh\nexec python3 -S "$@"\n')
    refused = optimizing.lab("run", *SWEEP, *COMMAND)
    assert refused.returncode == 125
    assert "The environment on machine has no optuna" in refused.stderr
    assert "lab add optuna" in refused.stderr
    assert not list((optimizing.folder / ".lab/sweeps").iterdir())

    have_environment(optimizing, f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    hold = optimizing.folder / "outputs/hold"
    optimizing.write_there("outputs/hold", "")
    words = ("run", *SWEEP, "--samples", "6", "--at-once", "2", *COMMAND)
    begun = optimizing.lab(*words[:1], "--detach", *words[1:])
    assert begun.returncode == 0, begun.stderr
    assert "6 runs, 2 at once: python3 train.py '{rate}' on machine" in begun.stderr
    assert "Optuna proposes each, for min:loss:" in begun.stderr
    sweep = the_sweep(optimizing)
    claims = sweep / "claims"
    wait_until(lambda: {path.name for path in claims.glob("[0-9]*")} == {"1.0", "2.0"})
    results = optimizing.folder / "outputs/train"
    # One of two that wait is killed, with its program: the other one runs the set again.
    wait_until(lambda: (results / f"{sweep.name}-2/ran.txt").exists())
    os.kill(json.loads((claims / "2.0").read_text())["pid"], 9)
    hold.unlink()
    followed = optimizing.lab("attach", sweep.name)
    sets = [json.loads(one.read_text()) for one in sorted((sweep / "sets").glob("*.jsonl"))]
    assert [one["set"] for one in sets] == [*range(1, 7)]
    ended = sets_ended(sweep)
    assert sorted(ended) == [*range(1, 7)]
    failed = [one for one in sets if float(dict(one["parameters"])["rate"]) > 0.03]
    assert failed  # what is proposed first depends on the seed alone
    assert followed.returncode == (1 if failed else 0), followed.stderr
    assert [key for key, one in sorted(ended.items()) if one["exit_code"]] == [
        one["set"] for one in failed
    ]

    check_study(optimizing, sweep, sets, failed)


def check_study(
    optimizing: RemoteProject, sweep: Path, sets: list[dict[str, Any]], failed: list[dict[str, Any]]
) -> None:
    """Check that the study has what our records have, and is made again from them."""
    journal = optimizing.project.path / f"outputs/train/{sweep.name}-0/optuna.journal"
    study = study_of(journal, sweep.name)
    assert [one.user_attrs["set"] for one in study.trials] == [*range(1, 7)]
    for one, trial in zip(sets, study.trials, strict=True):
        assert math.isclose(trial.params["rate"], float(dict(one["parameters"])["rate"]))
        assert trial.params["width"] == dict(one["parameters"])["width"]
        assert trial.state == (TrialState.FAIL if one in failed else TrialState.COMPLETE)
        assert trial.value == sets_ended(sweep)[one["set"]].get("value")
    assert studies_in_the_dashboard(journal) == [(sweep.name, "minimize")]
    shown = optimizing.lab("runs", sweep.name).stdout
    assert f"The best so far: {sweep.name}-{study.best_trial.user_attrs['set']}, loss" in shown

    # A torn journal there does not matter: it is made again.
    there = optimizing.folder / f"outputs/train/{sweep.name}-0/optuna.journal"
    there.write_text(there.read_text()[:-20])
    more = optimizing.lab("run", "--resume", sweep.name, "--samples", "2")
    assert f"{sweep.name} continues: {2 + len(failed)} runs left, 2 of them new." in more.stderr
    assert len(study_of(there, sweep.name).trials) == 8
    assert len({tuple(one.params.values()) for one in study_of(there, sweep.name).trials}) == 8
