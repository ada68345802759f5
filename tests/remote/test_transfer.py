"""Bringing outputs home from a real OpenSSH server, with rsync and with sftp."""

from __future__ import annotations

import os
from pathlib import Path

import openssh_server
import pytest
from cutting_proxy import cutting_proxy
from needs import need_program, need_root
from openssh_server import Account, OpenSSHServer

from ml_remote.errors import LabError, RemoteCommandError
from ml_remote.machine import Machine
from ml_remote.ssh.client import Client
from ml_remote.transfer import copying
from ml_remote.transfer.fetching import Fetched, fetch_outputs

FOLDER = "my päper lab"
AWKWARD = (
    "plain.txt",
    "two words/and more.txt",
    "it's.txt",
    'say "hi".txt',
    "back\\slash.txt",
    "glob*?[a]{b}.txt",
    "-n",
    "#hash $HOME `id` !.txt",
    "größe → 世界.txt",
    ".hidden",
)
MEBIBYTE = 2**20


@pytest.fixture(params=["rsync", "sftp"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The program that copies; without rsync here it is sftp."""
    if request.param == "sftp":
        monkeypatch.setattr(copying, "_has_rsync", lambda: False)
    else:
        need_program("rsync")
    return str(request.param)


@pytest.fixture
def outputs(account: Account) -> Path:
    """The folder `outputs` on the machine."""
    folder = account.write(f"{FOLDER}/lab.toml", "").parent / "outputs"
    folder.mkdir()
    return folder


def write(account: Account, path: Path, content: bytes, *, time: int = 1_700_000_000) -> None:
    """Write a file on the machine, as the account's own."""
    account.write(str(path.relative_to(account.home)), "")
    path.write_bytes(content)
    os.utime(path, (time, time))


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def bring(
    client: Client, here: Path, *, folder: str = FOLDER, only: str = "", overwrite: bool = False
) -> Fetched:
    """Bring the outputs of the project in `folder` on the machine to the project `here`."""
    machine = Machine(client=client, folder=folder)
    return fetch_outputs(machine, here / "outputs", only=only, overwrite=overwrite)


def test_every_name_comes_home(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str
) -> None:
    for number, name in enumerate(AWKWARD):
        write(account, outputs / name, f"{number}".encode())
    write(account, outputs / "with\nbreak", b"")
    write(account, outputs / "with\nbreak in the folder" / "file", b"")
    (outputs / "link").symlink_to("/etc/passwd")
    fetched = bring(machine, tmp_path)
    assert sorted(fetched.new) == sorted(AWKWARD)
    assert (fetched.kept, fetched.same, fetched.unnamed, fetched.links) == ((), 0, 2, 1)
    assert fetched.size == 10
    assert files_below(tmp_path / "outputs") == {
        name: f"{number}".encode() for number, name in enumerate(AWKWARD)
    }
    assert (tmp_path / "outputs" / "plain.txt").stat().st_mtime == 1_700_000_000
    assert bring(machine, tmp_path).same == len(AWKWARD)


def test_file_that_differs_here_is_kept_unless_asked(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str
) -> None:
    here = tmp_path / "outputs"
    mine = {"longer": b"mine, and longer", "as long": b"mine", "shorter": b"m", "a folder/x": b""}
    for name, content in mine.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)
        if name != "a folder/x":
            write(account, outputs / name, b"your")
    write(account, outputs / "a folder", b"a file there")
    write(account, outputs / "new", b"new")
    fetched = bring(machine, tmp_path)
    assert fetched.new == ("new",)
    assert fetched.kept == ("a folder", "as long", "longer", "shorter")
    assert files_below(here) == {**mine, "new": b"new"}

    (here / "a folder" / "x").unlink()
    (here / "a folder").rmdir()
    fetched = bring(machine, tmp_path, overwrite=True)
    assert fetched.replaced == ("as long", "longer", "shorter")
    assert files_below(here) == files_below(outputs)


@pytest.mark.slow
def test_log_that_grew_is_brought_up_to_date(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str
) -> None:
    write(account, outputs / "log", b"one\n")
    write(account, outputs / "other", b"same content")
    bring(machine, tmp_path)
    write(account, outputs / "log", b"one\ntwo\n", time=1_700_000_100)
    write(account, outputs / "other", b"same content", time=1_700_000_100)
    fetched = bring(machine, tmp_path)
    assert (fetched.new, fetched.replaced, fetched.kept) == ((), ("log",), ())
    assert fetched.same == 1
    assert (tmp_path / "outputs" / "log").read_bytes() == b"one\ntwo\n"


@pytest.mark.slow
def test_one_run_can_be_brought_alone(
    machine: Client, account: Account, outputs: Path, tmp_path: Path
) -> None:
    write(account, outputs / "mnistlab/1/a.txt", b"a")
    write(account, outputs / "mnistlab/2/b.txt", b"b")
    fetched = bring(machine, tmp_path, only="mnistlab/2")
    assert fetched.new == ("mnistlab/2/b.txt",)
    assert bring(machine, tmp_path, only="mnistlab/none").new == ()


@pytest.mark.slow
def test_outputs_may_be_a_link_to_another_disk(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str
) -> None:
    write(account, outputs / "a.txt", b"a")
    outputs.rename(account.home / "scratch")
    outputs.symlink_to(account.home / "scratch")
    assert bring(machine, tmp_path).new == ("a.txt",)


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
    assert failure.value.hint == "Send the project there: lab up"


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
