"""A session that the last copied version of the tool has started is found again, and ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import LabEnvironment
from session_fixtures import Command
from session_watch import processes_below
from tool_helpers import ReadyProject
from vendored import vendored_project


@pytest.fixture
def tensorboard(
    ready_project: ReadyProject, environment: LabEnvironment, tmp_path: Path, home: Path
) -> Iterator[Command]:
    """Yield `lab tensorboard` of a project with a copy of the tool, once it answers."""
    made = vendored_project(
        tmp_path, home=home, ready_project=ready_project, environment=environment
    )
    command = Command(made.project, "tensorboard", "--no-browser")
    try:
        command.read_page()
        yield command
    finally:
        command.kill()
        made.lab("tensorboard", "--stop")


@pytest.mark.slow
def test_session_of_the_copied_version_is_reached_and_stopped(
    ready_project: ReadyProject, tensorboard: Command
) -> None:
    assert tensorboard.interrupt() == 0
    listed = ready_project.lab("tensorboard", "--list")
    assert re.search("TensorBoard +running", listed.stdout), listed.stderr
    again = Command(ready_project.project, "tensorboard", "--no-browser")
    try:
        again.read_page()
        assert "TensorBoard already runs on machine" in again.said
        stopped = ready_project.lab("tensorboard", "--stop")
        assert stopped.returncode == 0, stopped.stderr
        assert again.wait() == 0
    finally:
        again.kill()
    assert processes_below(ready_project.folder) == {}
