"""`lab` with the oldest git that it works with, with older ones, and with another rsync.

No registry has such programs, so stand-ins answer their version and refuse what they lacked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from old_programs import openrsync, stand_in_git
from place import Place

pytestmark = pytest.mark.slow


def first_on_path(folder: Path) -> dict[str, str]:
    """Return the variables with which the programs of a folder come first."""
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def give_there(place: Place, variables: Mapping[str, str]) -> None:
    """Let the sessions of the machine begin with these variables."""
    place.client.close()
    place.server.stop()
    place.server.start(SetEnv=" ".join(f'"{name}={value}"' for name, value in variables.items()))


def test_oldest_git_sends_and_brings_commits(place: Place, tmp_path: Path) -> None:
    here = first_on_path(stand_in_git(tmp_path / "bin"))
    give_there(place, first_on_path(stand_in_git(place.server.account.home / "bin")))
    assert place.client.run("git", "--version").stdout == "git version 2.11.0\n"
    done = place.lab("push", **here)
    assert (done.returncode, "Pushed 2 commits" in done.stdout) == (0, True), done.stderr
    assert place.there("symbolic-ref", "--short", "HEAD") == "main"
    place.commit("größe 'x'.txt", "new")
    assert "Pushed 1 commit" in place.lab("push", **here).stdout
    place.assert_same()
    place.commit_there("there.txt", "there")
    done = place.lab("pull", **here)
    assert (done.returncode, "1 commit came" in done.stdout) == (0, True), done.stderr
    (place.project.path / "README.md").write_text("not committed")
    done = place.lab("push", "--dirty", **here)
    assert done.returncode == 0, done.stderr
    assert (place.folder / "README.md").read_text() == "not committed"
    place.git("commit", "--quiet", "--all", "--message", "Keep")
    done = place.lab("push", **here)
    assert done.returncode == 0, done.stderr
    place.assert_same()
    place.write_there("new.txt", "mine")
    place.commit("new.txt", "yours")
    done = place.lab("push", **here)
    assert "git does not know" in done.stderr
    assert "new.txt" in done.stderr
    done = place.lab("status", **here)
    assert done.returncode == 0, done.stderr

    # What is asked by other means than today: whether a rebase was begun, and whose history it is.
    place.project.run("git", "rebase", "--quiet", "--exec", "false", "HEAD~1", check=False)
    assert "A rebase is in progress here" in place.lab("push", **here).stderr
    place.git("rebase", "--abort")
    place.git("checkout", "--quiet", "--orphan", "other")
    place.git("commit", "--quiet", "--message", "Another project")
    place.git("branch", "--quiet", "-M", "other", "main")
    done = place.lab("push", **here)
    assert done.returncode == 1
    assert "Another project is in" in done.stderr


def test_git_that_is_too_old_is_named_with_both_versions(place: Place, tmp_path: Path) -> None:
    old = stand_in_git(tmp_path / "bin", "1.8.3.1")
    for command in (("push",), ("pull",), ("init",)):
        done = place.lab(*command, **first_on_path(old))
        assert done.returncode != 0, command
        assert "git version 1.8.3.1 on this computer is too old; lab needs 2.11" in done.stderr
    give_there(place, first_on_path(stand_in_git(place.server.account.home / "bin", "1.8.3.1")))
    done = place.lab("push")
    assert done.returncode == 1
    assert "git 1.8.3.1 on machine is too old; lab needs 2.11 or newer." in done.stderr
    found = place.lab("doctor").stdout
    assert "1.8.3.1 is too old; commits need 2.11 or newer there" in found


def test_results_come_by_sftp_where_rsync_is_another_program(place: Place, tmp_path: Path) -> None:
    here = first_on_path(openrsync(tmp_path / "bin"))
    assert place.lab("push").returncode == 0
    place.write_there("outputs/lab/1/metrics.json", "{}")
    done = place.lab("pull", **here)
    assert (done.returncode, "1 file came to outputs/" in done.stdout) == (0, True), done.stderr
    place.client.close()
    place.server.stop()
    place.server.start(Subsystem="none /bin/false")
    place.write_there("outputs/lab/2/metrics.json", "{}")
    done = place.lab("pull", **here)
    assert done.returncode == 1
    assert "offers no sftp" in done.stderr
    assert "Next: Install rsync 3.0 or newer, on this computer and there" in done.stderr
