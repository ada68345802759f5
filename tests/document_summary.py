"""One line at the end of the tests' output: how many commands of the documents were executed."""

from __future__ import annotations

import pytest

__all__ = ["pytest_terminal_summary"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what tests/docs/test_commands.py has recorded, in whatever process it ran."""
    counts = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "commands"
    ]
    if counts:
        executed, left = (sum(column) for column in zip(*counts, strict=True))
        terminalreporter.write_line(f"documents: {executed} commands executed, {left} not")
