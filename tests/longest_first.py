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
    "tool/test_journey.py",
    "distributed/test_hosts.py",
    "distributed/test_lost_hosts.py",
    "bake/test_matrix.py",
    "labs/test_new_labs.py",
    "cluster/test_journey.py",
    "slurm/test_cluster.py",
    "slurm/test_arrays.py",
    "slurm/test_rules.py",
    "cluster/test_node.py",
    "bake/test_conda.py",
    "devcontainer/test_build.py",
    "tool/test_runs.py",
    "far/test_environment_sequences.py",
    "bake/test_environment_script.py",
    "tool/test_push_faults.py",
    "tool/test_edit_properties.py",
    "kernels/test_windows.py",
    "sessions/test_sessions.py",
    "tool/jobs/test_lost_connections.py",
    "tool/jobs/test_hosts.py",
    "tool/jobs/test_jobs.py",
    "tool/test_resuming.py",
    "sessions/test_lost_connections.py",
    "labs/test_treelab.py",
    "labs/test_library.py",
    "tool/test_sweeps.py",
    "tool/test_spread_sweeps.py",
    "far/test_sweep_workers.py",
    "tool/test_optimized_sweeps.py",
    "tool/test_connecting.py",
    "tool/test_connecting_keys.py",
    "sessions/test_in_the_browser.py",
    "sessions/test_lasting.py",
    "tool/test_lying_machine.py",
    "tool/data/test_places.py",
    "tool/data/test_both_ways.py",
    "tool/data/test_interrupted.py",
    "editor/test_workbench.py",
    "bake/test_recipes.py",
    "bake/test_ways.py",
    "bake/test_generated_checks.py",
    "tool/test_output.py",
    "tool/test_many_processes.py",
    "tool/test_push.py",
    "tool/test_ignored_files.py",
    "tool/test_vendored_jobs.py",
    "tool/test_picture_of_up.py",
    "far/test_environment.py",
    "far/test_environment_in_place.py",
    "bake/test_updates.py",
    "tool/test_completion.py",
    "tool/test_login_shells.py",
)
"""The files whose slow tests take forty seconds or longer together, the longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of these files first; the order within a file stays."""
    folder = Path(__file__).parent
    rank = {folder / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
