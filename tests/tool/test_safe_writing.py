"""How files are written: modes, owners, links, backups, the lock, and what happens on errors."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from needs import IS_ROOT
from ssh_tree import OURS, entry, lay_out, picture

from ml_remote import files
from ml_remote.errors import AliasTakenError, ConfigurationError, LabError, UnsafeEditError
from ml_remote.ssh import ssh_config
from ml_remote.ssh.client import Client
from ml_remote.ssh.configuration import expanded, home_directory
from ml_remote.ssh.ssh_directory import (
    is_default_directory,
    shown_options,
    ssh_directory,
    ssh_options,
)

BEFORE = "Host a\n    User u\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "ssh"
    lay_out(folder, {"config": BEFORE})
    return folder


def connect(directory: Path, alias: str = "gpu", **options: str) -> ssh_config.AppliedPlan:
    return ssh_config.apply(
        ssh_config.plan_connect(entry(alias=alias, **options), directory=directory)
    )


def test_a_missing_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    connect(tmp_path / "new")
    modes = {name: mode for name, (_, mode, _) in picture(tmp_path).items()}
    assert modes["new"] == 0o700
    assert modes[f"new/{OURS}"] == 0o700
    assert modes["new/config"] == 0o600
    assert modes[f"new/{OURS}/gpu.conf"] == 0o600


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o077])
def test_modes_do_not_depend_on_the_umask(mask: int, tmp_path: Path) -> None:
    old = os.umask(mask)
    try:
        connect(tmp_path / "ssh")
    finally:
        os.umask(old)
    for name, (_, mode, _) in picture(tmp_path).items():
        assert not mode & 0o077, name


def test_an_entry_that_others_may_write_is_made_private_again(directory: Path) -> None:
    connect(directory)
    path = directory / OURS / "gpu.conf"
    path.chmod(0o664)
    connect(directory, "second")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    directory = tmp_path / "ssh"
    lay_out(tmp_path / "dotfiles", {"ssh_config": BEFORE})
    directory.mkdir()
    (directory / "config").symlink_to(tmp_path / "dotfiles/ssh_config")
    connect(directory)
    assert (directory / "config").is_symlink()
    assert (tmp_path / "dotfiles/ssh_config").read_text().startswith("Include ")
    assert list(picture(tmp_path / "dotfiles")) == ["ssh_config"]


def test_a_linked_directory_of_ours_is_followed(tmp_path: Path, directory: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (directory / OURS).symlink_to(tmp_path / "dotfiles")
    connect(directory)
    assert (tmp_path / "dotfiles/gpu.conf").is_file()


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_the_owner_is_kept(directory: Path) -> None:
    config = directory / "config"
    os.chown(config, 12345, 23456)
    notes = connect(directory).notes
    assert (config.stat().st_uid, config.stat().st_gid) == (12345, 23456)
    assert any("belongs to another user" in note for note in notes)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Python has none on this system")
def test_extended_attributes_are_kept(directory: Path) -> None:
    config = directory / "config"
    os.setxattr(config, "user.comment", b"mine")
    connect(directory)
    assert os.getxattr(config, "user.comment") == b"mine"


def test_the_backup_is_what_stood_there(directory: Path) -> None:
    (backup,) = connect(directory).backups
    assert backup.read_text() == BEFORE
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_the_first_and_the_newest_backups_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "config"
    folder = tmp_path / "backups"
    for number in range(25):
        files.keep_backup(path, str(number).encode(), folder=folder)
    kept = [backup.read_text() for backup in files.backups_of(path, folder=folder)]
    assert kept == ["0", *map(str, range(16, 25))]


def test_the_same_content_is_backed_up_once(tmp_path: Path) -> None:
    path = tmp_path / "config"
    first = files.keep_backup(path, b"x", folder=tmp_path / "backups")
    files.keep_backup(path, b"y", folder=tmp_path / "backups")
    assert files.keep_backup(path, b"x", folder=tmp_path / "backups") == first


def test_what_changed_since_the_plan_was_shown_is_kept(directory: Path) -> None:
    plan = ssh_config.plan_connect(entry(), directory=directory)
    (directory / "config").write_text("Host b\n")
    applied = ssh_config.apply(plan)
    assert (directory / "config").read_text().endswith("*.conf\nHost b\n")
    assert applied.plan.before.data == b"Host b\n"


def test_an_alias_that_was_taken_since_the_plan_was_shown_is_refused(directory: Path) -> None:
    plan = ssh_config.plan_connect(entry(), directory=directory)
    (directory / "config").write_text("Host gpu\n")
    with pytest.raises(AliasTakenError):
        ssh_config.apply(plan)
    assert list(picture(directory)) == ["config"]


def test_a_file_that_changes_in_the_last_moment_is_not_replaced(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = directory / "config"
    real = files._stage

    def stage_and_interfere(change: files.Change) -> Path:
        temporary = real(change)
        if change.path == config:
            config.write_text("Host b\n")
        return temporary

    monkeypatch.setattr(files, "_stage", stage_and_interfere)
    with pytest.raises(UnsafeEditError, match="Nothing was changed"):
        connect(directory)
    assert config.read_text() == "Host b\n"
    assert not (directory / OURS / "gpu.conf").exists()


@pytest.mark.parametrize("call", ["replace", "fsync", "write", "open", "fchmod"])
def test_an_error_of_the_system_leaves_everything_as_it_was(
    call: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = directory / "config"
    config.chmod(0o640)
    before = picture(directory)
    real, real_open = getattr(os, call), os.open
    temporary: set[object] = set()

    def remember(path: Path, *arguments: int, **options: int) -> int:
        descriptor = real_open(path, *arguments, **options)
        if Path(path).name.startswith(".config."):
            temporary.add(descriptor)
        return descriptor

    def fail_for_config(*arguments: object, **options: object) -> object:
        first = arguments[0]
        if first in temporary or Path(str(first)).name.startswith(".config."):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **options)

    monkeypatch.setattr(os, "open", remember)
    monkeypatch.setattr(os, call, fail_for_config)
    with pytest.raises(UnsafeEditError, match="No space left on device") as caught:
        connect(directory)
    monkeypatch.undo()

    assert "Include " in caught.value.instructions
    assert picture(directory) == before
    connect(directory)
    assert config.read_text().startswith("Include ")


def test_an_existing_entry_comes_back_when_a_later_file_cannot_be_written(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(directory)
    config = directory / "config"
    config.write_text(BEFORE)  # our line is gone, so that it will be written again
    before = picture(directory)
    real = os.replace

    def fail_for_config(source: Path, target: Path) -> None:
        if target == config:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", fail_for_config)
    with pytest.raises(UnsafeEditError, match="busy"):
        ssh_config.apply(
            ssh_config.plan_connect(
                entry("ada@new.example.com"), directory=directory, replace_other=True
            )
        )
    assert picture(directory) == before


def test_only_a_missing_file_counts_as_empty(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(path: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Path, "read_bytes", unreadable)
    with pytest.raises(UnsafeEditError, match="config cannot be read: Input/output error"):
        ssh_config.plan_connect(entry(), directory=directory)


def test_what_a_killed_process_left_is_removed(directory: Path) -> None:
    connect(directory)
    leftovers = [directory / ".config.ml-remote-1", directory / OURS / ".gpu.conf.ml-remote-1"]
    for path in leftovers:
        path.write_text("half")
    connect(directory, "second")
    assert not any(path.exists() for path in leftovers)


def test_a_lock_that_is_held_for_too_long_is_reported(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / OURS).mkdir()
    monkeypatch.setattr(files, "LONGEST_WAIT", 0.0)
    with (directory / OURS / files.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LabError, match="Another `lab` command"):
            connect(directory)
    assert (directory / "config").read_text() == BEFORE


def test_a_lock_goes_with_the_process_that_held_it(directory: Path) -> None:
    hold = f"""
import os, signal
from pathlib import Path
from ml_remote.files import exclusive
with exclusive(Path({str(directory / OURS)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", hold], env=_with_source())
    assert done.returncode == -9
    assert (directory / OURS / files.LOCK).exists()
    connect(directory)


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text("?")
    with pytest.raises(UnsafeEditError, match="ssh is not a directory"):
        connect(tmp_path / "ssh")
    assert (tmp_path / "ssh").read_text() == "?"


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnsafeEditError, match="No such file or directory") as caught:
        connect(tmp_path / "missing" / "ssh")
    assert str(tmp_path / "missing") in str(caught.value)
    assert picture(tmp_path) == {}


def test_the_directory_is_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_SSH_DIR", "relative/../ssh")
    assert ssh_directory() == tmp_path / "ssh"
    usual = home_directory() / ".ssh"
    for chosen in ("", str(usual)):
        monkeypatch.setenv("LAB_SSH_DIR", chosen)
        assert ssh_directory() == usual
        assert is_default_directory(usual)
        assert ssh_options(usual) == []


def test_the_directory_of_a_user_who_is_not_known_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_SSH_DIR", "~no-such-user/ssh")
    for find in (ssh_directory, lambda: files.typed_path("~no-such-user/ssh")):
        with pytest.raises(LabError, match="'~no-such-user/ssh' names the home directory"):
            find()
    assert expanded("~no-such-user/key") == Path("~no-such-user/key")  # ssh tells of it


@pytest.mark.parametrize(
    "name", ["a*b", "a[1]", "50%", "$H", 'a"b', "a'b", "a\\b", "a\nb", "{a}", "\udcff"]
)
def test_a_directory_whose_name_means_something_to_ssh_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_SSH_DIR", str(tmp_path / name))
    with pytest.raises(ConfigurationError, match="LAB_SSH_DIR"):
        ssh_directory()


def test_another_directory_gets_an_absolute_line(tmp_path: Path) -> None:
    directory = tmp_path / "with a blank"
    connect(directory)
    line = f'Include "{directory}/{OURS}/*.conf"\n'
    assert (directory / "config").read_text() == line
    assert shown_options(directory) == ["-F", str(directory / "config")]
    assert Client(alias="gpu", directory=directory).resolve()["user"] == ["ada"]


def test_without_ssh_nothing_is_written(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(directory))
    with pytest.raises(UnsafeEditError, match="The program ssh is not installed"):
        connect(directory)
    assert list(picture(directory)) == ["config"]


def test_an_ssh_that_does_not_answer_is_not_waited_for(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_ssh(directory, monkeypatch, "exec sleep 1000")
    monkeypatch.setattr("ml_remote.ssh.config_query.SECONDS", 0.2)
    with pytest.raises(UnsafeEditError, match="did not end within"):
        connect(directory)
    assert not (directory / OURS).exists()


def test_every_other_host_keeps_its_meaning(tmp_path: Path) -> None:
    # By construction: nobody asks about other hosts before the file is written.
    directory = tmp_path / "ssh"
    text = "User u\nInclude ~ssh/x\nHost a\n  Port 7\nHost g*\n  Port 8\nMatch host b\n  User w\n"
    lay_out(directory, {"config": text, "x": "Compression yes\nHost *\n  IdentityFile ~/.ssh/k\n"})

    def meanings() -> list[str]:
        options = ["ssh", "-G", "-F", str(directory / "config"), "--"]
        return [
            subprocess.check_output([*options, host], text=True)
            for host in ("a", "b", "gpu2", "gpu.example.com", "unlisted")
        ]

    before = meanings()
    connect(directory)
    assert meanings() == before


def test_ssh_is_asked_about_the_alias_and_its_address_alone(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = directory.parent / "asked"
    _fake_ssh(directory, monkeypatch, f'echo "$*" >>"{asked}"; exec "$REAL_SSH" "$@"')
    connect(directory)
    lines = asked.read_text().splitlines()
    assert all(line.startswith("-G -F ") for line in lines)
    assert {line.rpartition(" -- ")[2] for line in lines} == {"gpu", "gpu.example.com"}


def test_an_entry_that_resolves_otherwise_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_ssh(directory, monkeypatch, '"$REAL_SSH" "$@" | sed "s/^user ada/user eve/"')
    with pytest.raises(UnsafeEditError, match="would have User eve instead of ada"):
        connect(directory)
    assert (directory / "config").read_text() == BEFORE


def _fake_ssh(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a script called ssh in front of the real one."""
    programs = directory.parent / "bin"
    programs.mkdir()
    fake = programs / "ssh"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("REAL_SSH", str(shutil.which("ssh")))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


def _with_source() -> dict[str, str]:
    source = Path(ssh_config.__file__).parents[2]
    return {**os.environ, "PYTHONPATH": str(source)}
