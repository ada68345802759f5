"""`lab push` and `lab pull`: code goes there and back by git, over a real OpenSSH server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from baking import BakedProject
from openssh_server import Account
from remote.client import Client
from remote_fixtures import LabThere, there

pytestmark = pytest.mark.usefixtures("machine")


def commit(project: BakedProject, name: str, text: str) -> str:
    (project.path / name).write_text(text)
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", f"Change {name}")
    return project.run("git", "rev-parse", "HEAD").stdout.strip()


def test_first_push_makes_a_repository_and_checks_it_out(
    lab_there: LabThere, project: BakedProject, remote_folder: Path
) -> None:
    done = lab_there("push")
    assert done.returncode == 0, done.stderr
    assert "Pushed 1 commit to machine" in done.stdout
    assert done.stdout.splitlines()[-1] == "Next: lab setup"
    tracked = project.run("git", "ls-files").stdout.splitlines()
    assert {name: (remote_folder / name).read_bytes() for name in tracked} == {
        name: (project.path / name).read_bytes() for name in tracked
    }
    assert there(remote_folder, "status", "--porcelain") == ""
    assert there(remote_folder, "config", "receive.denyCurrentBranch") == "updateInstead"

    again = lab_there("push")
    assert again.returncode == 0
    assert "Nothing to push" in again.stdout


def test_push_updates_files_there(
    lab_there: LabThere, project: BakedProject, remote_folder: Path
) -> None:
    lab_there("push")
    commit(project, "notes größe.txt", "first")
    (project.path / "README.md").unlink()
    made = commit(project, "labs/mnistlab.py", "# changed\n")
    done = lab_there("push")
    assert "Pushed 2 commits" in done.stdout
    assert there(remote_folder, "rev-parse", "HEAD") == made
    assert there(remote_folder, "status", "--porcelain") == ""
    assert (remote_folder / "notes größe.txt").read_text() == "first"
    assert not (remote_folder / "README.md").exists()
