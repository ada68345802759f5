"""`lab` with the oldest git that it works with, with older ones, and with another rsync.

No registry has such programs, so stand-ins answer their version and refuse what they lacked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from old_programs import openrsync, stand_in_git
from remote_project import RemoteProject

pytestmark = pytest.mark.slow


def first_on_path(folder: Path) -> dict[str, str]:
    """Return the variables with which the programs of a folder come first."""
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def give_there(remote_project: RemoteProject, variables: Mapping[str, str]) -> None:
    """Start the machine's sessions with these variables."""
    remote_project.client.close()
    remote_project.server.stop()
    remote_project.server.start(
        SetEnv=" ".join(f'"{name}={value}"' for name, value in variables.items())
    )


def test_oldest_git_sends_and_brings_commits(remote_project: RemoteProject, tmp_path: Path) -> None:
    here = first_on_path(stand_in_git(tmp_path / "bin"))
    give_there(
        remote_project, first_on_path(stand_in_git(remote_project.server.account.home / "bin"))
    )
    assert remote_project.client.run("git", "--version").stdout == "git version 2.11.0\n"
    done = remote_project.lab("push", **here)
    assert (done.returncode, "Pushed 2 commits" in done.stdout) == (0, True), done.stderr
    assert remote_project.there("symbolic-ref", "--short", "HEAD") == "main"
    remote_project.commit("größe 'x'.txt", "new")
    assert "Pushed 1 commit" in remote_project.lab("push", **here).stdout
    remote_project.assert_same()
    remote_project.commit_there("there.txt", "there")
    done = remote_project.lab("pull", **here)
    assert (done.returncode, "1 commit fetched" in done.stdout) == (0, True), done.stderr
    (remote_project.project.path / "README.md").write_text("not committed")
    done = remote_project.lab("push", "--dirty", **here)
    assert done.returncode == 0, done.stderr
    assert (remote_project.folder / "README.md").read_text() == "not committed"
    remote_project.git("commit", "--quiet", "--all", "--message", "Keep")
    done = remote_project.lab("push", **here)
    assert done.returncode == 0, done.stderr
    remote_project.assert_same()
    remote_project.write_there("new.txt", "mine")
    remote_project.commit("new.txt", "yours")
    done = remote_project.lab("push", **here)
    assert "untracked files" in done.stderr
    assert "new.txt" in done.stderr
    done = remote_project.lab("status", **here)
    assert done.returncode == 0, done.stderr

    # What is asked by other means than today: whether a rebase was begun, and whose history it is.
    remote_project.project.run("git", "rebase", "--quiet", "--exec", "false", "HEAD~1", check=False)
    assert "A rebase is in progress here" in remote_project.lab("push", **here).stderr
    remote_project.git("rebase", "--abort")
    remote_project.git("checkout", "--quiet", "--orphan", "other")
    remote_project.git("commit", "--quiet", "--message", "Another project")
    remote_project.git("branch", "--quiet", "-M", "other", "main")
    done = remote_project.lab("push", **here)
    assert done.returncode == 1
    assert "holds another project" in done.stderr


def test_git_that_is_too_old_is_named_with_both_versions(
    remote_project: RemoteProject, tmp_path: Path
) -> None:
    old = stand_in_git(tmp_path / "bin", "1.8.3.1")
    for command in (("push",), ("pull",), ("init",)):
        done = remote_project.lab(*command, **first_on_path(old))
        assert done.returncode != 0, command
        assert "git version 1.8.3.1 on this computer is too old; lab needs 2.11" in done.stderr
    give_there(
        remote_project,
        first_on_path(stand_in_git(remote_project.server.account.home / "bin", "1.8.3.1")),
    )
    done = remote_project.lab("push")
    assert done.returncode == 1
    assert "git 1.8.3.1 on machine is too old; lab needs 2.11 or newer." in done.stderr
    found = remote_project.lab("doctor").stdout
    assert "1.8.3.1 is too old; lab needs 2.11 or newer" in found


def test_results_come_by_sftp_where_rsync_is_another_program(
    remote_project: RemoteProject, tmp_path: Path
) -> None:
    here = first_on_path(openrsync(tmp_path / "bin"))
    remote_project.push()
    remote_project.write_there("outputs/lab/1/metrics.json", "{}")
    done = remote_project.lab("pull", **here)
    assert (done.returncode, "1 file copied to outputs/" in done.stdout) == (0, True), done.stderr
    remote_project.client.close()
    remote_project.server.stop()
    remote_project.server.start(Subsystem="none /bin/false")
    remote_project.write_there("outputs/lab/2/metrics.json", "{}")
    done = remote_project.lab("pull", **here)
    assert done.returncode == 1
    assert "offers no sftp" in done.stderr
    assert "Next: Install rsync 3.0 or newer on this computer and on the machine" in done.stderr
