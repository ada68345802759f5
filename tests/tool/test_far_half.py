"""The far half comes to the machine once, complete, and goes when nothing uses it any more."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from openssh_server import Account
from tool_helpers import at, wait_until

from ml_remote import far_half, jobs
from ml_remote.errors import MissingFolderError, RemoteCommandError
from ml_remote.far.installed import far_files
from ml_remote.far_half import ensure_far, far_folder
from ml_remote.machine import Machine
from ml_remote.ssh.client import Client

NAME = "Projekte/mein Labör's"
THREE_DAYS = 3 * 24 * 3600


@pytest.fixture
def there(machine: Client, account: Account) -> Machine:
    """Return a project on the machine that has nothing in it."""
    account.write(f"{NAME}/lab.toml", "")
    return at(machine, NAME)


def old_half(account: Account, name: str) -> Path:
    """Put the far half of another version there that was not used for three days."""
    folder = account.write(f"{NAME}/.lab/far/{name}/__main__.py", "").parent
    then = time.time() - THREE_DAYS
    os.utime(folder, (then, then))
    return folder


def test_far_half_is_sent_once_as_it_is(there: Machine, account: Account) -> None:
    assert ensure_far(there) == far_folder()
    folder = account.home / NAME / far_folder()
    written = {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert written == far_files()
    (folder / "__main__.py").write_text("as it was")
    os.utime(folder, (0, 0))
    assert ensure_far(there) == far_folder()
    assert (folder / "__main__.py").read_text() == "as it was"
    assert folder.stat().st_mtime > time.time() - 3600  # it counts as used now
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.slow
def test_one_whose_files_were_removed_is_sent_again(there: Machine, account: Account) -> None:
    ensure_far(there)
    folder = account.home / NAME / far_folder()
    (folder / "__main__.py").unlink()
    assert ensure_far(there) == far_folder()
    assert (folder / "__main__.py").read_text() == far_files()["__main__.py"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.slow
def test_old_ones_go_unless_something_uses_them(there: Machine, account: Account) -> None:
    unused, current, of_a_run, of_an_old_run = (
        old_half(account, f"{letter}" * 16) for letter in "abcd"
    )
    fresh = account.write(f"{NAME}/.lab/far/{'e' * 16}/__main__.py", "").parent
    (current.parent / "current").symlink_to(current.name)

    def run(folder: Path, command: str) -> jobs.Job:
        about = jobs.About(kind="setup", title="x", far=f".lab/far/{folder.name}")
        return jobs.start(there, about, command)

    going_on = run(of_a_run, "exec sleep 600")
    over = run(of_an_old_run, "exit 0")
    wait_until(lambda: jobs.find_job(there, over.id).is_over)
    ensure_far(there)
    left = {path.name for path in unused.parent.iterdir()}
    names = [Path(far_folder()).name, "current"]
    assert left == {*names, current.name, of_a_run.name, fresh.name}
    jobs.stop(there, going_on.id)


@pytest.mark.slow
def test_team_mates_with_different_versions_do_not_disturb_each_other(
    there: Machine, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ensure_far(there)
    other = {**far_files(), "ml_remote/__init__.py": '"""Another version."""\n'}
    with monkeypatch.context() as changed:
        changed.setattr(far_half, "far_files", lambda: other)
        far_folder.cache_clear()
        theirs = ensure_far(there)
    far_folder.cache_clear()
    assert ensure_far(there) == ours != theirs
    for folder, files in ((ours, far_files()), (theirs, other)):
        for name, text in files.items():
            assert (account.home / NAME / folder / name).read_text() == text


def test_what_keeps_it_from_being_sent_is_told(
    there: Machine, account: Account, machine: Client
) -> None:
    with pytest.raises(MissingFolderError, match="no folder elsewhere"):
        ensure_far(at(machine, "elsewhere"))
    account.write(f"{NAME}/.lab", "in the way")
    with pytest.raises(RemoteCommandError, match="MiB of its disk are free"):
        ensure_far(there)
