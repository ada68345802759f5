"""Of long tables whose every row starts programs, the quick part tries the first row of each test.

All rows are in `make test`. A test that takes nothing but its row starts no program and stays in
the quick part: CONTRIBUTING.md names such tests for the ends of its recipes. Answers that attack,
and tool/test_security.py, have one of each kind in the quick part.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

import pytest

__all__ = ["pytest_itemcollected"]

TABLES = (
    "bake/test_environment_script.py",
    "bake/test_far_half.py",
    "bake/test_matrix.py",
    "bake/test_lab_script.py",
    "bake/test_pin.py",
    "labs/test_pairs.py",
    "tool/test_disconnect.py",
    "tool/test_edit_table.py",
    "tool/start/test_trust.py",
    "tool/start/test_versions.py",
)
_FILES = {Path(__file__).parent / name for name in TABLES}
_seen: set[tuple[Path, str]] = set()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark all rows but the first of a table, or of a fixture with rows, as slow."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return
    if item.path not in _FILES or item.get_closest_marker("slow"):
        return
    row = {name for mark in item.iter_markers("parametrize") for name in _names(mark.args[0])}
    if set(inspect.signature(item.function).parameters) <= row:
        return
    test = (item.path, item.originalname)
    if test in _seen:
        item.add_marker(pytest.mark.slow)
    _seen.add(test)


def _names(names: str | Sequence[str]) -> Sequence[str]:
    """Return what a table has columns for: pytest takes a list, or a text with commas."""
    return names.replace(",", " ").split() if isinstance(names, str) else names
