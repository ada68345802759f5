"""Names that differ in capitals alone, on a disk here that confuses them, as those of macOS do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tool.data.folders import BothSides, contents

from ml_remote.transfer.data import both_sides
from ml_remote.transfer.results import folded, tells_capitals_apart


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
