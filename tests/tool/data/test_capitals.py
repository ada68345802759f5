"""Names that a disk here confuses, as those of macOS do with capitals, or cannot have."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from tool.data.folders import BothSides, contents

from ml_remote.transfer.data import both_sides
from ml_remote.transfer.results import folded, is_file, is_possible, tells_capitals_apart


def test_disk_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert tells_capitals_apart(tmp_path) is not (tmp_path / "A").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert tells_capitals_apart(tmp_path / "missing")
    assert folded("Ä/B") == folded("a\u0308/b") != folded("a/b")


def test_one_of_several_files_is_copied_and_the_others_are_named(
    sides: BothSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(both_sides, "tells_capitals_apart", lambda _: False)
    names = (
        "A.txt",
        "a.txt",
        "C/1",
        "c/1",
        "c/2",
        "c/D/3",
        "c/d/3",
        "d/e/F",
        "d/e/f",
        "own",
        "OWN",
        "plain",
    )
    for name in names:
        sides.write(sides.there, name, name.encode())
    sides.write(sides.here, "own", b"mine")
    said = sides.does("pull", "--overwrite")
    fetched = {name: name.encode() for name in ("A.txt", "C/1", "d/e/F", "plain", "own")}
    assert contents(sides.here) == fetched
    skipped = "7 files skipped, not told from others by the disk here, as only capitals differ"
    assert f"{skipped}: OWN, a.txt, c/1, c/2, c/D/3" in said
    assert sides.status() == {"same": 5}
    (sides.here / "plain").write_bytes(b"changed")
    sides.does("push", "--delete", "--yes")
    expected = {name: name.encode() for name in names} | {"plain": b"changed"}
    assert contents(sides.there) == expected


def test_disk_is_asked_for_names_that_are_no_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise OSError(errno.EILSEQ if "\udcff" in str(path) else errno.ENOENT, "no")

    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", refuse)
        patched.setattr(Path, "is_file", refuse)
        answers = [is_possible("größe/file", tmp_path), is_possible("a/\udcff/file", tmp_path)]
        assert not is_file(tmp_path / "\udcff")
    assert answers == [True, False]
    assert is_file(Path(__file__))


def test_names_that_the_disk_here_cannot_have_are_named_and_all_else_comes(
    sides: BothSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(both_sides, "is_possible", lambda name, _: "bad" not in name)
    for name in ("bad/1", "2.bad", "fine"):
        sides.write(sides.there, name)
    said = sides.does("pull")
    assert "2 files skipped: the disk here has no such names (2.bad, bad/1)" in said
    assert contents(sides.here) == {"fine": b"x"}
