"""The list of what can go wrong, `hazards.toml`: no test that it names may be skipped."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from needs import can_run_everything

__all__ = ["LIST", "Hazard", "NamedTest", "hazards", "named_functions"]

LIST = Path(__file__).with_name("hazards.toml")
_NODE_ID = re.compile(r"(?P<file>[\w/]+\.py)::(?P<function>test_\w+)(?:\[(?P<case>.+)\])?")


@dataclass(frozen=True, kw_only=True)
class NamedTest:
    """A test that shows that a hazard is met."""

    file: str
    """Relative to `tests/`."""
    function: str
    case: str
    """One of its parameters; empty when all count."""


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """One thing that can go wrong."""

    id: str
    where: str
    """The heading that it belongs to."""
    sentence: str
    measure: str
    """What is done about it."""
    tests: tuple[NamedTest, ...]


@cache
def hazards() -> tuple[Hazard, ...]:
    """Read the list. Raises ValueError for a test that is no node id, TypeError for other keys."""
    tables = tomllib.loads(LIST.read_text(encoding="utf-8"))["hazard"]
    return tuple(
        Hazard(**{**table, "tests": tuple(map(_test, table["tests"]))}) for table in tables
    )


def named_functions() -> set[str]:
    """Return the test functions that any hazard names."""
    return {test.function for hazard in hazards() for test in hazard.tests}


def _test(node_id: str) -> NamedTest:
    found = _NODE_ID.fullmatch(node_id)
    if found is None:
        raise ValueError(f"{node_id} is no node id")
    return NamedTest(file=found["file"], function=found["function"], case=found["case"] or "")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a named test that is skipped where root and all programs are available."""
    report = yield
    function = getattr(item, "originalname", None)
    if report.skipped and function in named_functions() and can_run_everything():
        report.outcome = "failed"
        report.longrepr = f"{function} is named in tests/hazards.toml and must not be skipped"
    return report
