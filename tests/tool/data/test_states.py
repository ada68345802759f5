"""What became of a file on both sides, by its size and time now and when it was transferred."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ml_remote.transfer.data.index import Entry, Index

SECOND = 10**9
KNOWN = (4, 7 * SECOND + 5)
SAME_SECOND = (4, 7 * SECOND + 6)
LATER = (4, 9 * SECOND)
LONGER = (5, 7 * SECOND + 5)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with closing(Index(tmp_path / "index", alias="gpu")) as index:
        yield index


def compare(index: Index, here: tuple[int, int], there: tuple[int, int]) -> str:
    """Return the state of a file with these sizes and times, in whole seconds on the machine."""
    size, ns = there
    index.take("here", [Entry(name=b"a", kind="f", size=here[0], ns=here[1])])
    index.take("there", [Entry(name=b"a", kind="f", size=size, ns=ns // SECOND * SECOND)])
    index.compare("/data")
    states = ("same", "changed_here", "changed_there", "changed_both")
    return next(state for state in states if index.amount(state).files)


@pytest.mark.parametrize(
    ("here", "there", "state"),
    [
        (KNOWN, KNOWN, "same"),
        (SAME_SECOND, KNOWN, "changed_here"),
        (LATER, KNOWN, "changed_here"),
        (KNOWN, LATER, "changed_there"),
        (KNOWN, LONGER, "changed_there"),
        (LATER, LATER, "changed_both"),
        (LONGER, LONGER, "changed_both"),
        (LATER, LONGER, "changed_both"),
    ],
)
def test_file_that_was_transferred(
    index: Index, here: tuple[int, int], there: tuple[int, int], state: str
) -> None:
    assert compare(index, KNOWN, KNOWN) == "same"
    index.remember_same()
    assert compare(index, here, there) == state


def test_file_that_was_not_transferred(index: Index) -> None:
    assert compare(index, SAME_SECOND, KNOWN) == "same"
    assert compare(index, LATER, KNOWN) == "changed_both"
