"""The folder of outputs on the machine, and each program that copies it."""

from __future__ import annotations

from pathlib import Path

import pytest
from needs import need_program
from openssh_server import Account
from tool.outputs.bringing import FOLDER

from ml_remote.transfer import copying


@pytest.fixture(params=["rsync", "sftp"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the program that copies; without rsync here it is sftp."""
    if request.param == "sftp":
        monkeypatch.setattr(copying, "said_here", lambda: "")
    else:
        need_program("rsync")
    return str(request.param)


@pytest.fixture
def outputs(account: Account) -> Path:
    """Return the folder `outputs` on the machine."""
    folder = account.write(f"{FOLDER}/lab.toml", "").parent / "outputs"
    folder.mkdir()
    return folder
