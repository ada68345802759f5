"""The folder on the machine belongs to somebody else, or holds another project."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from needs import need_root
from remote_project import RemoteProject

from ml_remote.cli import lab

WITHOUT_IT = {"connect", "disconnect", "doctor", "add", "remove", "lock", "init"}
"""Commands about the machine that do not use the folder, look at it, or leave it to `setup`."""
ARGUMENTS = {
    "run": ("labs/mnistlab.py",),
    "up": ("--no-code", "--yes"),
    "attach": ("2026-01-01_00-00-00",),
    "stop": ("2026-01-01_00-00-00",),
    "node": ("--yes",),
    "shell": ("--", "true"),
    "forward": ("8080:./app.sock",),
}


def takes_an_alias(name: str) -> bool:
    """Return whether a command is about the machine."""
    command = lab.get_command(click.Context(lab), name)
    assert command is not None
    return any(option.name == "alias" for option in command.params)


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["the folder", "its .lab"])
def test_folder_of_another_user_is_refused_by_every_command(
    remote_project: RemoteProject, whose: str
) -> None:
    need_root("give files away")
    remote_project.push()
    remote_project.write_there(".lab/mark", "")
    os.chown(
        remote_project.folder if whose == "the folder" else remote_project.folder / ".lab",
        12345,
        12345,
    )
    before = sorted(path.name for path in remote_project.folder.iterdir())
    names = {"run", "setup"}
    if whose == "the folder":
        names = {name for name in lab.commands if takes_an_alias(name)} - WITHOUT_IT
    for name in sorted(names):
        done = remote_project.lab(name, *ARGUMENTS.get(name, ()))
        assert done.returncode == (125 if name in ("attach", "shell") else 1), (name, done.stdout)
        assert "belongs to another user" in done.stderr, (name, done.stderr)
        assert "lab.local.toml" in done.stderr, name
    assert sorted(path.name for path in remote_project.folder.iterdir()) == before
    found = remote_project.lab("doctor").stdout
    assert "belongs to another user, so lab runs nothing in it" in found


LINKS = (".lab", ".lab/secrets", ".lab/forwards", ".lab/jobs/2026-01-01_00-00-00", ".lab/lists")


@pytest.mark.slow
def test_link_that_a_commit_brings_is_not_written_through(
    remote_project: RemoteProject, tmp_path: Path
) -> None:
    remote_project.push()
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    for number, name in enumerate(LINKS):
        link = remote_project.folder / name
        remote_project.client.run(
            "sh", "-c", 'mkdir -p "${1%/*}" && ln -s "$2" "$1"', "-", str(link), str(outside)
        )
        for words in ("push", "setup", "run -- true", "secret list", "shell -- true")[: 5 - number]:
            done = remote_project.lab(*words.split())
            assert done.returncode == (125 if "--" in words else 1), (name, words, done.stderr)
            assert "perhaps from a commit" in done.stderr, (name, words, done.stderr)
        assert "is a link, which lab does not follow" in remote_project.lab("doctor").stdout
        link.unlink()
    assert list(outside.iterdir()) == []
    remote_project.push()


@pytest.mark.slow
def test_folder_with_another_project_is_named(remote_project: RemoteProject) -> None:
    remote_project.write_there("notes.txt", "mine")
    remote_project.there("init", "--quiet", "--initial-branch", "main")
    remote_project.commit_there("more.txt", "mine")
    remote_project.write_there("outputs/theirs/1/x.txt", "not ours")
    before = remote_project.git("rev-parse", "HEAD")
    pulled = remote_project.lab("pull")
    assert pulled.returncode == 1
    assert f"{remote_project.name} on machine holds another project" in pulled.stderr
    assert "[remote], in lab.toml or lab.local.toml" in pulled.stderr
    assert "rebase" not in pulled.stderr
    assert remote_project.git("rev-parse", "HEAD") == before
    assert not (remote_project.project.path / "outputs" / "theirs").exists()
    found = remote_project.lab("doctor").stdout
    assert f"another project is in {remote_project.name}" in found
    pushed = remote_project.lab("push")
    assert pushed.returncode == 1
    assert (remote_project.folder / "more.txt").read_text() == "mine"


@pytest.mark.slow
def test_pull_tells_a_failure_once(remote_project: RemoteProject) -> None:
    remote_project.lab("push")
    remote_project.commit_there("a.txt", "there")
    remote_project.commit("b.txt", "here")
    done = remote_project.lab("pull")
    assert done.returncode == 1
    assert done.stderr.count("new commits on main both here and on machine") == 1
