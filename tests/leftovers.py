"""No test leaves a process behind: what still runs at the end is named, and the run fails.

A variable marks all that the tests start. Servers of the tests pass `marks()` on to the sessions of
those who log in, which would not inherit it.
"""

from __future__ import annotations

import os
import re
import signal
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Leftover", "find_leftovers", "marks"]

RUN = "TESTS_STARTED_BY"
TEST = "PYTEST_CURRENT_TEST"  # set by pytest
FOUND = pytest.StashKey[list["Leftover"]]()


@dataclass(frozen=True)
class Leftover:
    """A process that outlived the tests."""

    pid: int
    command: str
    test: str
    """The test that ran when it was started; empty if none did."""

    def __str__(self) -> str:
        return f"process {self.pid}, started in {self.test or 'no test'}: {self.command[:200]}"


def marks() -> dict[str, str]:
    """Return the variables by which a process is known as started by this run and this test."""
    test = re.sub(r"[^\w./:\[\] -]", "?", os.environ.get(TEST, "").partition(" (")[0])
    return {RUN: os.environ[RUN], TEST: test} if RUN in os.environ else {}


def find_leftovers(run: str) -> list[Leftover]:
    """Return the processes that a run of the tests started, except this process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        variables = dict(
            pair.partition("=")[::2] for pair in _words(folder / "environ") if "=" in pair
        )
        command = " ".join(_words(folder / "cmdline"))  # empty for a process that has ended
        if variables.get(RUN) == run and int(folder.name) != os.getpid() and command:
            test = variables.get(TEST, "").partition(" (")[0]
            found.append(Leftover(int(folder.name), command, test))
    return found


def _words(file: Path) -> list[str]:
    """Return the texts in a file, each of which a zero byte ends; none for another user's."""
    try:
        return file.read_text(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the tests of this module wait less."""
    text = "seconds for what is about to end, such as ssh after its server was stopped"
    parser.addoption("--patience", type=float, default=30.0, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Mark all that is started from now on, the processes in which tests run included."""
    if _is_controller(config):
        os.environ[RUN] = uuid.uuid4().hex


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Find what still runs after all fixtures are gone; end it, and make the run fail."""
    if not _is_controller(session.config):
        return
    deadline = time.monotonic() + session.config.getoption("patience")
    while (found := find_leftovers(os.environ[RUN])) and time.monotonic() < deadline:
        time.sleep(0.1)
    session.config.stash[FOUND] = found
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    if found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name what was left behind."""
    if found := config.stash.get(FOUND, []):
        terminalreporter.section("processes that tests left behind", red=True)
        for process in found:
            terminalreporter.write_line(str(process))
