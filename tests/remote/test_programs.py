"""`lab run -- COMMAND`: any program on the machine, as a run like those of labs."""

from __future__ import annotations

import json

import pytest
from place import Place
from remote_fixtures import at

from ml_remote import jobs
from ml_remote.ui.console import Console

pytestmark = pytest.mark.slow

PYTHON = '#!/bin/sh\nexec python3 "$@"\n'
TRAIN = """\
import os, sys
from pathlib import Path
print("arguments", sys.argv[1:], flush=True)
print("lr", os.environ.get("LR"), "python", sys.prefix != "", flush=True)
Path(os.environ["LAB_OUTPUT_DIR"], "model.txt").write_text("trained")
Path("checkpoints").mkdir(exist_ok=True)
Path("checkpoints/last.pt").write_text("weights")
sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def there(place: Place) -> Place:
    """A project on both sides, with a Python as its environment there."""
    settings = place.project.read("lab.toml")
    place.commit("lab.toml", settings + '\n[outputs]\nfolders = ["checkpoints", "missing"]\n')
    place.commit("train.py", TRAIN)
    done = place.lab("push")
    assert done.returncode == 0, done.stderr
    place.write_there(".lab/envs/one/bin/python", PYTHON)
    (place.folder / ".lab/envs/one/bin/python").chmod(0o755)
    (place.folder / ".venv").symlink_to(".lab/envs/one")
    place.write_there("checkpoints/old.pt", "of another day")
    return place


def newest(place: Place) -> jobs.Job:
    return jobs.list_jobs(at(place.client, place.name), console=Console(), kind="run")[-1]


def test_program_runs_there_and_its_exit_code_comes_home(there: Place) -> None:
    words = ["it's", "$HOME", "two words", "*", "", "-p", "--name", "a\nb"]
    done = there.lab("run", "--env", "LR=0.1 x", "--", "python", "train.py", *words, "3")
    assert done.returncode == 3, done.stderr
    assert f"arguments {[*words, '3']}" in done.stderr
    assert "lr 0.1 x" in done.stderr
    job = newest(there)
    assert f"Run {job.id} failed; exit code 3." in done.stderr
    home = there.project.path / "outputs" / "train" / job.id
    assert (home / "model.txt").read_text() == "trained"
    assert (home / "checkpoints" / "last.pt").read_text() == "weights"
    assert not (home / "checkpoints" / "old.pt").exists()
    assert job.run.command == ("python", "train.py", *words, "3")
    assert job.run.variables == (("LR", "0.1 x"),)
    assert there.lab("attach", job.id).returncode == 3
    assert there.lab("runs", "--wait").returncode == 3
    document = json.loads(there.lab("runs", "--json").stdout)
    (one,) = document["runs"]
    assert (one["id"], one["exit_code"], one["run"]["name"]) == (job.id, 3, "train")
    done = there.lab(
        "run", "--name", "mine", "--tty", "--", "sh", "-c", "test -t 1 && echo so; kill -TERM $$"
    )
    assert done.returncode == 143
    assert "so" in done.stderr.splitlines()
    assert newest(there).run.output_folder == "mine"
    for code, command in ((127, ["no-such-program"]), (0, ["python", "train.py", "0"])):
        assert there.lab("run", "--", *command).returncode == code
    there.client.close()
    there.server.stop()
    assert there.lab("run", "--", "true").returncode == 125
