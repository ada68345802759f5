"""Why rsync or sftp failed, by the words of real ones; what is between them is a shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from accounts import folder_of_its_own
from needs import need_program, need_root
from openssh_server import run, sftp_server

from ml_remote.transfer.copy_errors import COPY_REASONS, UNCLEAR_REASONS, copy_reason
from ml_remote.transfer.git_errors import cleaned_output

pytestmark = pytest.mark.slow

RSYNC = ("rsync", "-rs", "--times", "--inplace", "--sparse", "-e")
SFTP = ("sftp", "-q", "-b", "-", "-D")
# What the person's shell on the machine does with the command that ssh brings.
SHELLS = {
    "quiet": 'shift; exec sh -c "$*"',
    "nobody": 'shift; exec setpriv --reuid nobody --clear-groups sh -c "$*"',
    "without rsync": 'shift; PATH=/nowhere exec /bin/bash -c "$*"',
    "ended": "exec head -c 1 >/dev/null",
    "old": """shift; exec sh -c "$(printf %s "$*" | sed 's/--server/& --no-such-option/')" """,
    "nobody's sftp": "exec setpriv --reuid nobody --clear-groups {sftp}",
}


@dataclass(frozen=True)
class Row:
    """A copy that fails: the words that say why, and where it is so."""

    command: tuple[str, ...]
    words: str
    place: str
    is_sent: bool = False
    is_read_only: bool = False
    order: str = ""


ROWS = {
    "rsync, full here": Row((*RSYNC, "{quiet}", "h:{full}/../from/", "{full}/"), "is full", "here"),
    "rsync, full there": Row(
        (*RSYNC, "{quiet}", "{full}/../from/", "h:{full}/"), "is full", "gpu", is_sent=True
    ),
    "rsync, read-only here": Row(
        (*RSYNC, "{quiet}", "h:{full}/../from/", "{full}/"), "read-only", "here", is_read_only=True
    ),
    "rsync, read-only there": Row(
        (*RSYNC, "{quiet}", "{full}/../from/", "h:{full}/"), "read-only", "gpu", True, True
    ),
    "rsync, closed there": Row(
        (*RSYNC, "{nobody}", "h:{full}/../closed/", "{full}/"), "cannot read or write", "gpu"
    ),
    "rsync, closed for writing there": Row(
        # In place, rsync 3.5 says "No such file or directory".
        ("rsync", "-rse", "{nobody}", "{full}/../small/", "h:{full}/"),
        "cannot read or write",
        "gpu",
        True,
    ),
    "rsync, missing there": Row(
        (*RSYNC, "{without rsync}", "h:{full}/../from/", "{full}/"), "find no rsync", "gpu"
    ),
    "rsync, ended": Row((*RSYNC, "{ended}", "h:{full}/../from/", "{full}/"), "was killed", ""),
    "rsync, an old one": Row(
        (*RSYNC, "{old}", "h:{full}/../from/", "{full}/"), "are incompatible", ""
    ),
    "sftp, full here": Row(
        (*SFTP, "{sftp}"), "is full", "here", order="-get -a {full}/../from/a {full}/a"
    ),
    "sftp, full there": Row(
        (*SFTP, "{sftp}"),
        "cannot write there",
        "gpu",
        True,
        False,
        "-put {full}/../from/a {full}",
    ),
    "sftp, read-only here": Row(
        (*SFTP, "{sftp}"), "read-only", "here", False, True, "-get -a {full}/../from/a {full}/b"
    ),
    "sftp, read-only there": Row(
        (*SFTP, "{sftp}"),
        "cannot write there",
        "gpu",
        True,
        True,
        "-put {full}/../small/a {full}/b",
    ),
    "sftp, closed there": Row(
        (*SFTP, "{nobody's sftp}"),
        "cannot read or write",
        "gpu",
        order="-get {full}/../closed/a {full}/c",
    ),
    "sftp, closed for writing there": Row(
        (*SFTP, "{nobody's sftp}"),
        "cannot read or write",
        "gpu",
        True,
        order="-put {full}/../small/a {full}/c",
    ),
    "sftp, ended": Row((*SFTP, "{ended}"), "was killed", "", order="-get a"),
}


@pytest.fixture(scope="module")
def full() -> Iterator[Path]:
    """Yield a disk of 64 KiB, beside a folder with a larger file and one that is unreadable."""
    need_root("mount a disk")
    for program in ("rsync", "setpriv"):
        need_program(program)
    with folder_of_its_own() as place:
        place.chmod(0o755)
        yield from _disk_in(place)


def _disk_in(place: Path) -> Iterator[Path]:
    for name, size, mode in (("from", 300_000, 0o644), ("small", 10, 0o644), ("closed", 1, 0o600)):
        (place / name).mkdir()
        (place / name / "a").write_bytes(os.urandom(size))
        (place / name / "a").chmod(mode)
    for name, text in SHELLS.items():
        (place / name).write_text(f"#!/bin/sh\n{text.format(sftp=sftp_server())}\n")
        (place / name).chmod(0o755)
    disk = place / "full"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", str(disk))
    yield disk
    run("umount", str(disk))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_reason_is_known_with_its_place(full: Path, row: Row) -> None:
    shells = {name: f"'{full.parent / name}'" for name in SHELLS}
    if row.command[0] == "sftp":
        shells = {name: f'"{full.parent / name}"' for name in SHELLS}
    given = {"full": full, "sftp": sftp_server(), **shells}
    run("mount", "-o", f"remount,{'ro' if row.is_read_only else 'rw'}", str(full))
    done = subprocess.run(
        [word.format_map(given) for word in row.command],
        input=row.order.format_map(given) + "\n",
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        cwd=full.parent / "small",
    )
    lines = cleaned_output(done.stderr)
    found = copy_reason(lines, alias="gpu", is_sent=row.is_sent)
    found = found or copy_reason(lines, alias="gpu", is_sent=row.is_sent, reasons=UNCLEAR_REASONS)
    run("mount", "-o", "remount,rw", str(full))
    for left in full.iterdir():
        left.unlink()
    assert found is not None, done.stderr
    reason, place = found
    assert row.words in reason.sentence
    if row.place:
        assert place == ("this computer" if row.place == "here" else row.place), done.stderr


@pytest.mark.parametrize(
    ("line", "words", "place"),
    [
        # Of older versions, in which the last line alone names the side.
        ('rsync: write failed on "/x": No space left on device (28)\nrsync error: error in file IO '
         "(code 11) at receiver.c(393) [receiver=3.1.2]", "is full", "this computer"),
        ('rsync: [receiver] write failed on "/x": Disk quota exceeded (122)', "quota",
         "this computer"),
        ('rsync: [sender] read errors mapping "/x": Input/output error (5)', "failed to", "gpu"),
        ('rsync: [sender] send_files failed to open "/x": Stale file handle (116)', "failed to",
         "gpu"),
        ('rsync: [generator] recv_generator: failed to stat "/x": File name too long (36)',
         "such a name", "this computer"),
        ("zsh:1: command not found: rsync\nrsync error: remote command not found (code 127) at "
         "io.c(232) [Receiver=3.2.7]", "find no rsync", "gpu"),
        ('Couldn\'t open local file "x" for writing: Permission denied', "cannot read or write",
         "this computer"),
        ('remote open "/x": Permission denied', "cannot read or write", "gpu"),
        # Files that are called like a reason, or like a side.
        ('rsync: [sender] open "/a "No space left on device"": Permission denied (13)',
         "cannot read or write", "gpu"),
        ('rsync: [receiver] mkstemp "/remote not found/x" failed: Permission denied (13)',
         "cannot read or write", "this computer"),
    ],
)  # fmt: skip
def test_words_of_other_versions_are_known(line: str, words: str, place: str) -> None:
    found = copy_reason(line.splitlines(), alias="gpu", is_sent=False)
    assert found is not None
    assert words in found[0].sentence
    assert found[1] == place


@pytest.mark.parametrize("line", ["rsync: [sender] write error: Broken pipe (32)", "Welcome", ""])
def test_no_cause_is_made_up(line: str) -> None:
    assert copy_reason(line.splitlines(), alias="gpu", is_sent=False, reasons=COPY_REASONS) is None
