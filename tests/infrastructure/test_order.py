"""The order of the tests."""

from __future__ import annotations

import pytest
from baking import TEMPLATE_ROOT
from longest_first import LONGEST


def test_longest_files_are_there_and_come_first(request: pytest.FixtureRequest) -> None:
    longest = [TEMPLATE_ROOT / "tests" / name for name in LONGEST]
    assert [path for path in longest if not path.is_file()] == []
    order = list(dict.fromkeys(item.path for item in request.session.items))
    begin = [path for path in longest if path in order]
    assert order[: len(begin)] == begin
