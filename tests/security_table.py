"""The tests that `docs/security.md` names: none of them may be skipped where all can run."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest
from needs import can_run_everything

__all__ = ["PAGE", "named_tests", "rows"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "security.md"
ROW = re.compile(r"^\| (?P<hazard>.+?) \| (?P<measure>.+?) \| (?P<tests>.+?) \|$", re.MULTILINE)
NAME = re.compile(r"`(?P<function>test_\w+)(?:\[(?P<case>[^`]+)\])?`")


def rows(text: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return hazard, measure and tests (function and case, which may be empty) of each row."""
    found = []
    for row in ROW.finditer(text):
        if row["hazard"] != "Hazard":
            names = [(name["function"], name["case"] or "") for name in NAME.finditer(row["tests"])]
            found.append((row["hazard"], row["measure"], names))
    return found


def named_tests(text: str) -> set[str]:
    """Return the functions that any row names."""
    return {function for _, _, tests in rows(text) for function, _ in tests}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a named test that is skipped fail where root and all programs are there."""
    report = yield
    function = getattr(item, "originalname", None)
    if report.skipped and function in named_tests(PAGE.read_text()) and can_run_everything():
        report.outcome = "failed"
        report.longrepr = f"{function} is named in docs/security.md and must not be skipped"
    return report
