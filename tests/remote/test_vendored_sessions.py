"""A session that the last copied version of the tool has started is found again, and ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import LabEnvironment
from remote_fixtures import Workplace
from session_fixtures import Command
from session_watch import processes_below
from vendored import vendored_project


@pytest.fixture
def tensorboard(
    workplace: Workplace, environment: LabEnvironment, tmp_path: Path, home: Path
) -> Iterator[Command]:
    """`lab tensorboard` of a project with a copy of the tool, once it answers."""
    made = vendored_project(tmp_path, home=home, workplace=workplace, environment=environment)
    command = Command(made.project, "tensorboard", "--no-browser")
    try:
        command.read_page()
        yield command
    finally:
        command.kill()
        made.lab("tensorboard", "--stop")


@pytest.mark.slow
def test_session_of_the_copied_version_is_reached_and_stopped(
    workplace: Workplace, tensorboard: Command
) -> None:
    assert tensorboard.interrupt() == 0
    listed = workplace.lab("tensorboard", "--list")
    assert re.search("TensorBoard +running", listed.stdout), listed.stderr
    again = Command(workplace.project, "tensorboard", "--no-browser")
    try:
        again.read_page()
        assert "TensorBoard already runs on machine" in again.said
        stopped = workplace.lab("tensorboard", "--stop")
        assert stopped.returncode == 0, stopped.stderr
        assert again.wait() == 0
    finally:
        again.kill()
    assert processes_below(workplace.folder) == {}
