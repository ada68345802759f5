"""Bringing outputs home from a real OpenSSH server, with rsync and with sftp."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from openssh_server import Account
from tool.awkward_names import AWKWARD, NOT_UTF_8
from tool.outputs.bringing import bring, files_below, write

from ml_remote.errors import LabError
from ml_remote.ssh.client import Client
from ml_remote.transfer import fetching
from ml_remote.transfer.choosing import Choice
from ml_remote.transfer.copying import Copying
from ml_remote.transfer.incoming_files import IncomingFiles
from ml_remote.transfer.outputs import RemoteFile

SEPARATORS = ("vertical\x0btab", "next\x85line", "line\u2028separator")


def test_every_name_comes_home(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str
) -> None:
    names = ["plain.txt", *AWKWARD, *SEPARATORS, *NOT_UTF_8]
    broken = ("with\nbreak", "with\nbreak in the folder/file", "with\rreturn")
    for number, name in enumerate([*names, *broken]):
        write(account, outputs / name, f"{number}".encode())
    (outputs / "link").symlink_to("/etc/passwd")
    os.mkfifo(outputs / "pipe")
    write(account, outputs / "secret/file", b"")
    (outputs / "secret/file").chmod(0)
    write(account, outputs / "closed/file", b"")
    (outputs / "closed").chmod(0)
    deep = outputs
    for _ in range(8):
        deep = deep / ("d" * 250)
    write(account, deep / "file", b"too deep for a line of sftp")
    fetched = bring(machine, tmp_path)
    came = [*names, str((deep / "file").relative_to(outputs)), *broken]
    if program == "sftp":
        came = names
        left = {one.name: one.reason for one in fetched.left_out}
        assert all("only rsync can copy" in left.pop(name) for name in broken)
        assert "such long names" in left.pop(str((deep / "file").relative_to(outputs)))
        assert set(left) == {"link", "pipe", "secret/file", "closed"}
    assert sorted(fetched.new) == sorted(came)
    assert {"link", "pipe", "secret/file", "closed"} <= {one.name for one in fetched.left_out}
    assert (fetched.kept, fetched.same) == ((), 0)
    for number, name in enumerate([*names, *broken]):
        if name in came:
            assert (tmp_path / "outputs" / name).read_bytes() == f"{number}".encode()
    assert not (tmp_path / "outputs" / "link").is_symlink()
    (outputs / "closed").chmod(0o700)
    (outputs / "closed/file").unlink()
    assert (tmp_path / "outputs" / "plain.txt").stat().st_mtime == 1_700_000_000
    assert bring(machine, tmp_path).same == len(came)


@pytest.mark.slow
def test_own_file_of_the_same_size_and_second_is_never_taken_for_a_fetched_one(
    machine: Client, account: Account, outputs: Path, tmp_path: Path
) -> None:
    own = tmp_path / "outputs/lab/1/mistakes.csv"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    os.utime(own, (1_700_000_000, 1_700_000_000))
    write(account, outputs / "lab/1/mistakes.csv", b"here")
    assert bring(machine, tmp_path).kept == ("lab/1/mistakes.csv",)
    write(account, outputs / "lab/1/mistakes.csv", b"a later one", time=1_700_000_100)
    assert bring(machine, tmp_path).kept == ("lab/1/mistakes.csv",)
    assert own.read_bytes() == b"mine"


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
    kept = ("a folder", "as long", "longer", "shorter")
    beside = {f"{name}.from-machine": (outputs / name).read_bytes() for name in kept}
    for attempt in range(2):
        fetched = bring(machine, tmp_path)
        assert fetched.new == (() if attempt else ("new",))
        assert fetched.kept == kept
        assert fetched.beside == (() if attempt else tuple(beside))
        assert files_below(here) == {**mine, **beside, "new": b"new"}

    # A version that was put beside is followed by a newer one, unless it was changed, too.
    write(account, outputs / "longer", b"newer", time=1_700_000_100)
    write(account, outputs / "shorter", b"newer", time=1_700_000_100)
    (here / "shorter.from-machine").write_bytes(b"mine now")
    assert bring(machine, tmp_path).beside == ("longer.from-machine", "shorter.from-machine-2")
    assert (here / "shorter.from-machine").read_bytes() == b"mine now"

    fetched = bring(machine, tmp_path, overwrite=True)
    assert fetched.replaced == kept
    assert fetched.kept == ()
    for name, second in zip(kept, fetched.backups, strict=True):
        assert second.startswith(f"{name}.mine-")
        assert (here / name).read_bytes() == (outputs / name).read_bytes()
        if name != "a folder":
            assert (here / second).read_bytes() == mine[name]
        else:
            assert (here / second / "x").exists()


@pytest.mark.slow
def test_what_was_fetched_is_updated_and_what_was_deleted_stays_deleted(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str
) -> None:
    here = tmp_path / "outputs"
    for run in ("1", "2"):
        write(account, outputs / f"lab/{run}/checkpoint.pt", b"half")
        write(account, outputs / f"lab/{run}/notes.csv", b"theirs")
    bring(machine, tmp_path)
    write(account, outputs / "lab/1/checkpoint.pt", b"whole", time=1_700_000_100)
    write(account, outputs / "lab/1/notes.csv", b"theirs, later", time=1_700_000_100)
    (here / "lab/1/notes.csv").write_bytes(b"thei")  # cut short: an edit, not a log that grows
    shutil.rmtree(here / "lab/2")
    write(account, outputs / "lab/2/late.txt", b"late")
    fetched = bring(machine, tmp_path)
    assert fetched.replaced == ("lab/1/checkpoint.pt",)
    assert (here / "lab/1/checkpoint.pt").read_bytes() == b"whole"
    assert fetched.kept == ("lab/1/notes.csv",)
    assert (here / "lab/1/notes.csv").read_bytes() == b"thei"
    assert (here / "lab/1/notes.csv.from-machine").read_bytes() == b"theirs, later"
    assert fetched.deleted == ("lab/2/checkpoint.pt", "lab/2/late.txt", "lab/2/notes.csv")
    assert not (here / "lab/2").exists()
    only = bring(machine, tmp_path, choice=Choice(only=("*.csv",), exclude=("lab/1",)))
    assert only.new == ("lab/2/notes.csv",)
    brought = bring(machine, tmp_path, choice=Choice(run="2"))
    assert brought.new == ("lab/2/checkpoint.pt", "lab/2/late.txt")
    # Whatever is lost of what was remembered, nothing of the person's is lost with it.
    (tmp_path / ".lab" / "fetched").write_bytes(b'{"name": "lab/1')
    write(account, outputs / "lab/1/checkpoint.pt", b"other", time=1_700_000_200)
    assert "lab/1/checkpoint.pt" in bring(machine, tmp_path).kept
    assert (here / "lab/1/checkpoint.pt").read_bytes() == b"whole"


@pytest.mark.slow
def test_file_that_may_still_be_written_is_looked_at_again(
    machine: Client, account: Account, outputs: Path, tmp_path: Path
) -> None:
    # The same size and the same second: only the contents tell.
    now = int(time.time()) + 60
    write(account, outputs / "lab/1/checkpoint.pt", b"half", time=now)
    bring(machine, tmp_path)
    write(account, outputs / "lab/1/checkpoint.pt", b"done", time=now)
    assert bring(machine, tmp_path).replaced == ("lab/1/checkpoint.pt",)


@pytest.mark.slow
def test_nothing_is_written_through_a_link(
    machine: Client, account: Account, outputs: Path, tmp_path: Path, program: str
) -> None:
    write(account, outputs / "lab/1/a.txt", b"theirs")
    write(account, outputs / "lab/b.txt", b"theirs")
    write(account, outputs / "c.txt", b"theirs")
    outside = tmp_path / "outside"
    (outside / "1").mkdir(parents=True)
    here = tmp_path / "outputs"
    here.mkdir()
    (here / "lab").symlink_to(outside)
    (here / "c.txt").symlink_to(outside / "c.txt")
    fetched = bring(machine, tmp_path, overwrite=True)
    assert {one.name for one in fetched.left_out} == {"lab/1/a.txt", "lab/b.txt"}
    assert files_below(outside) == {}
    assert (here / "c.txt").read_bytes() == b"theirs"
    assert not (here / "c.txt").is_symlink()
    # Nor through a link where files are until they are complete, which a commit could bring.
    write(account, outputs / "lab/1/d.txt", b"theirs")
    (here / "lab").unlink()
    incoming = here / ".incoming"
    incoming.mkdir(exist_ok=True)
    (incoming / program).symlink_to(outside)
    with pytest.raises(LabError, match="is a link"):
        bring(machine, tmp_path)
    assert files_below(outside) == {}
    (incoming / program).unlink()
    shutil.rmtree(here)
    here.mkdir()
    # A link that is outputs itself is the person's own way to another disk, unless git tracks it.
    here.rename(tmp_path / "disk")
    here.symlink_to("disk")
    assert len(bring(machine, tmp_path).new) == 3
    assert (tmp_path / "disk/lab/1/a.txt").read_bytes() == b"theirs"
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "add", "outputs"], check=True)
    with pytest.raises(LabError, match="a link that git tracks"):
        bring(machine, tmp_path)


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


def test_disk_that_ignores_capitals_gets_one_of_several_files(
    machine: Client,
    account: Account,
    outputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "is_possible", lambda name, _: "bad" not in name)
    for name in ("lab/1/bad", "lab/1/Log", "lab/1/log", "lab/1/Best/a", "lab/1/best/b", "lab/1/b"):
        write(account, outputs / name, name.encode())
    assert bring(machine, tmp_path, choice=Choice(only=("log",))).new == ("lab/1/log",)
    monkeypatch.setattr(fetching, "tells_capitals_apart", lambda _: False)
    fetched = bring(machine, tmp_path)
    assert fetched.new == ("lab/1/Best/a", "lab/1/b")
    left = {one.name: one.reason for one in fetched.left_out}
    assert {*left} == {"lab/1/Log", "lab/1/bad", "lab/1/best/b"}
    assert left["lab/1/bad"] == "the disk here has no such names"
    assert "differ only in capitals" in left["lab/1/Log"]
    assert bring(machine, tmp_path).same == 3


def test_folder_that_is_read_only_there_is_not_here(
    machine: Client,
    account: Account,
    outputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
) -> None:
    write(account, outputs / "lab/1/kept/file", b"first")
    (outputs / "lab/1/kept").chmod(0o555)
    staged: list[Path] = []
    move = IncomingFiles.move

    def noted(moving: IncomingFiles, files: list[RemoteFile], copying: Copying) -> None:
        staged.extend(copying.staged(file).parent for file in files)
        assert all(folder.stat().st_mode & 0o200 for folder in staged)  # root may do all the same
        move(moving, files, copying)

    monkeypatch.setattr(IncomingFiles, "move", noted)
    assert bring(machine, tmp_path).new == ("lab/1/kept/file",)
    (outputs / "lab/1/kept/file").write_bytes(b"second")
    assert bring(machine, tmp_path).replaced == ("lab/1/kept/file",)
    (outputs / "lab/1/kept").chmod(0o755)
    assert len(staged) == 2
    assert not (tmp_path / "outputs/.incoming").exists()
