"""Bringing outputs home when it is killed or cut, and when room or a quiet shell is missing."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import openssh_server
import pytest
from cutting_proxy import cutting_proxy
from needs import need_root
from openssh_server import Account, OpenSSHServer
from tool.outputs.bringing import MEBIBYTE, bring, files_below, write

from ml_remote.errors import LabError, RemoteCommandError
from ml_remote.ssh.client import Client
from ml_remote.transfer.results import Results


def raise_killed(path: Path, missing_ok: bool = False) -> None:
    """End what removes a file of those that have come."""
    if ".incoming" in path.parts and path.name != ".lock":
        raise KeyboardInterrupt


@pytest.mark.slow
def test_pull_that_was_killed_while_it_placed_a_file_shares_none(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write(account, outputs / "a.txt", b"theirs")
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", raise_killed)
        with pytest.raises(KeyboardInterrupt):
            bring(machine, tmp_path)
    assert (tmp_path / "outputs" / "a.txt").stat().st_nlink == 2
    with (tmp_path / "outputs" / "a.txt").open("a") as file:
        file.write(", and mine")
    write(account, outputs / "a.txt", b"theirs, and theirs again", time=1_700_000_100)
    bring(machine, tmp_path)
    assert (tmp_path / "outputs" / "a.txt").read_bytes() == b"theirs, and mine"
    # One that was noted and did not get to its place was not deleted here.
    write(account, outputs / "lab/1/b.txt", b"theirs")
    for error in (KeyboardInterrupt, PermissionError):
        with monkeypatch.context() as killed, suppress(KeyboardInterrupt):
            killed.setattr(Results, "put", Mock(side_effect=error))
            assert bring(machine, tmp_path).left_out
    fetched = bring(machine, tmp_path)
    assert (fetched.new, fetched.deleted) == (("lab/1/b.txt",), ())
    (tmp_path / "outputs" / "lab/1/b.txt").unlink()
    assert bring(machine, tmp_path).deleted == ("lab/1/b.txt",)


@pytest.mark.slow
def test_holes_are_kept_and_room_is_looked_at_first(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write(account, outputs / "sparse.bin", b"")
    with (outputs / "sparse.bin").open("wb") as file:
        file.truncate(50 * MEBIBYTE)
        file.seek(20 * MEBIBYTE)
        file.write(b"x" * 4096)
    os.utime(outputs / "sparse.bin", (1_700_000_000, 1_700_000_000))
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(LabError, match="Nothing was copied") as failure:
            bring(machine, tmp_path)
        assert "--exclude" in (failure.value.hint or "")
    assert bring(machine, tmp_path).new == ("sparse.bin",)
    brought = tmp_path / "outputs" / "sparse.bin"
    assert brought.read_bytes() == (outputs / "sparse.bin").read_bytes()
    assert brought.stat().st_blocks * 512 < MEBIBYTE
    assert bring(machine, tmp_path).same == 1


@pytest.mark.slow
def test_cut_connection_sends_nothing_twice(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str,
    server: OpenSSHServer,
) -> None:  # fmt: skip
    size = 200 * MEBIBYTE
    write(account, outputs / "weights.pt", os.urandom(size))
    write(account, outputs / "other/notes.txt", b"notes")
    with cutting_proxy(server.port) as proxy:
        client = machine.with_options(
            f"Port={proxy.port}", f"HostKeyAlias=[127.0.0.1]:{server.port}", "ControlPath=none"
        )
        for part in (40, 60):
            proxy.cut_after = part * MEBIBYTE
            with pytest.raises(LabError) as failure:
                bring(client, tmp_path)
            assert failure.value.hint is not None
            assert not (tmp_path / "outputs" / "weights.pt").exists()
        fetched = bring(client, tmp_path)
        assert proxy.cuts == 2
    assert files_below(tmp_path / "outputs") == files_below(outputs)
    assert "weights.pt" in fetched.new
    # What was on its way when the connection was cut, and the checksums of what had come.
    assert size <= proxy.received < 1.1 * size


@pytest.mark.slow
def test_change_there_between_two_attempts_is_no_mixture(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str,
    server: OpenSSHServer,
) -> None:  # fmt: skip
    size = 20 * MEBIBYTE
    write(account, outputs / "weights.pt", os.urandom(size))
    with cutting_proxy(server.port) as proxy:
        client = machine.with_options(
            f"Port={proxy.port}", f"HostKeyAlias=[127.0.0.1]:{server.port}", "ControlPath=none"
        )
        proxy.cut_after = size // 2
        with pytest.raises(LabError):
            bring(client, tmp_path)
        write(account, outputs / "weights.pt", os.urandom(size), time=1_700_000_100)
        bring(client, tmp_path)
    assert files_below(tmp_path / "outputs") == files_below(outputs)


def test_no_folder_there_says_what_to_do(machine: Client, tmp_path: Path) -> None:
    with pytest.raises(RemoteCommandError, match="no folder nowhere") as failure:
        bring(machine, tmp_path, folder="nowhere")
    assert failure.value.hint == "Send the project to the machine: lab up"


@pytest.mark.slow
def test_shell_that_prints_is_told_in_a_sentence(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str,
    server: OpenSSHServer,
) -> None:  # fmt: skip
    need_root("make an account with another login shell")
    write(account, outputs / "a.txt", b"a")
    server.stop()
    server.start(Subsystem="sftp /usr/lib/openssh/sftp-server")  # started by the login shell
    # Whatever the shell is, this is what its start-up file does to each command.
    noisy = '#!/bin/sh\necho Welcome to the cluster\nexec /bin/sh "$@"\n'
    shell = account.write("noisy", noisy, mode=0o755)
    openssh_server.run("usermod", "--shell", str(shell), account.user)
    with pytest.raises(RemoteCommandError, match="Welcome to the cluster") as failure:
        bring(machine, tmp_path)
    assert "case $-" in (failure.value.hint or "")
    account.write("noisy", noisy.replace("echo", ": "), mode=0o755)
    assert bring(machine, tmp_path).new == ("a.txt",)
