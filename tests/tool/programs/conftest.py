"""A project on both sides whose runs are programs."""

from __future__ import annotations

import pytest
from remote_project import RemoteProject

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
def there(remote_project: RemoteProject) -> RemoteProject:
    """Return a project on both sides, with a Python as its environment there."""
    settings = remote_project.project.read("lab.toml")
    remote_project.commit(
        "lab.toml", settings + '\n[outputs]\nfolders = ["checkpoints", "missing"]\n'
    )
    remote_project.commit("train.py", TRAIN)
    remote_project.push()
    remote_project.have_environment()
    remote_project.write_there("checkpoints/old.pt", "of another day")
    return remote_project
