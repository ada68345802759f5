"""A project with data/ on both sides, and each program that copies it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from needs import need_program
from openssh_server import Account
from tool.data.folders import BothSides

from ml_remote.ssh.client import Client
from ml_remote.transfer.data import programs


@pytest.fixture
def sides(
    machine: Client, account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> BothSides:
    root = tmp_path / "small"
    (root / "data").mkdir(parents=True)
    name = "my päper lab"
    (root / "lab.toml").write_text(f'[remote]\nalias = "{machine.alias}"\nfolder = "{name}"\n')
    (root / ".gitignore").write_text("/data\n/.lab\n/outputs\nlab.local.toml\n")
    made = BothSides(root, account, machine, account.home / name, capsys)
    subprocess.run(["git", "init", "--quiet", "-b", "main", root], check=True)
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "Begin")
    code, said = made.run("push")
    assert code == 0, said
    return made


@pytest.fixture(params=["rsync", "sftp"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the program that copies; without rsync here it is sftp."""
    if request.param == "sftp":
        monkeypatch.setattr(programs, "_rsync_here", lambda: ())
    else:
        need_program("rsync")
    return str(request.param)
