"""The slow files begin first, so that no processor is idle while the last of them runs alone.

pytest-xdist hands out whole files, because their tests share what is set up once. By itself it
begins with the files that have the most tests, and ends with those that have one test of minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["pytest_collection_modifyitems"]

LONGEST = (
    "bake/test_environment_script.py",
    "docs/test_commands.py",
    "bake/test_conda.py",
    "far/test_environment_sequences.py",
    "distributed/test_lost_hosts.py",
    "remote/test_journey.py",
    "devcontainer/test_build.py",
    "labs/test_mnistlab.py",
    "bake/test_generated_checks.py",
    "distributed/test_hosts.py",
    "bake/test_recipes.py",
    "bake/test_updates.py",
    "sessions/test_sessions.py",
    "sessions/test_in_the_browser.py",
    "far/test_environment.py",
    "remote/test_lying_machine.py",
    "bake/test_bounds.py",
    "remote/test_edit_properties.py",
    "remote/test_runs.py",
    "slurm/test_cluster.py",
    "remote/test_many_processes.py",
    "remote/test_setup.py",
    "remote/test_failed_logins.py",
)
"""The files whose slow tests take a minute or longer together, the longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of these files first; the order within a file stays."""
    folder = Path(__file__).parent
    rank = {folder / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
