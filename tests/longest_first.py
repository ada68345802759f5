"""The slow files begin first, so that no processor is idle while the last of them runs alone.

pytest-xdist hands out whole files, because their tests share what is set up once. By itself it
begins with the files that have the most tests, and ends with those that have one test of minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["pytest_collection_modifyitems"]

LONGEST = (
    "docs/test_commands.py",
    "labs/test_mnistlab.py",
    "remote/test_journey.py",
    "distributed/test_hosts.py",
    "distributed/test_lost_hosts.py",
    "bake/test_matrix.py",
    "slurm/test_cluster.py",
    "bake/test_conda.py",
    "devcontainer/test_build.py",
    "remote/test_runs.py",
    "far/test_environment_sequences.py",
    "bake/test_environment_script.py",
    "remote/test_push_faults.py",
    "remote/test_edit_properties.py",
    "kernels/test_windows.py",
    "sessions/test_sessions.py",
    "remote/test_jobs.py",
    "remote/test_resuming.py",
    "sessions/test_lost_connections.py",
    "labs/test_treelab.py",
    "remote/test_connecting.py",
    "sessions/test_in_the_browser.py",
    "sessions/test_lasting.py",
    "remote/test_lying_machine.py",
    "remote/test_data.py",
    "editor/test_workbench.py",
    "bake/test_recipes.py",
    "bake/test_ways.py",
    "bake/test_generated_checks.py",
    "remote/test_output.py",
    "remote/test_many_processes.py",
    "remote/test_push.py",
    "remote/test_ignored_files.py",
    "remote/test_vendored_jobs.py",
    "remote/test_picture_of_up.py",
    "far/test_environment.py",
    "bake/test_updates.py",
    "remote/test_completion.py",
    "remote/test_login_shells.py",
)
"""The files whose slow tests take forty seconds or longer together, the longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of these files first; the order within a file stays."""
    folder = Path(__file__).parent
    rank = {folder / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
