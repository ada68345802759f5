"""A window that is opened before the environment is complete: its cells wait for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernels.driving import ExtensionHost, KernelProject
from kernels.projects import (
    NEWEST,
    begin_setup,
    complete_setup,
    make_project,
    wait_until_cells_wait,
)
from tool_helpers import wait_until

from ml_remote.far.env.lasting import opening
from ml_remote.far.login.environment import environments

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Iterator[KernelProject]:
    """Yield a project whose `.venv` leads to a first environment, while a setup is at work."""
    made = make_project(tmp_path / "project", "newest", NEWEST)
    begin_setup(made)
    yield made
    made.end_kernels()


def test_cells_wait_for_the_environment_and_run_in_it(
    project: KernelProject, new_host: Callable[..., ExtensionHost]
) -> None:
    lab = project.lab("a")
    host = new_host()
    host.open(lab)
    host.start("import sys, only_here; print(only_here.value, sys.prefix)")
    wait_until_cells_wait(project, "3 of 12 packages, 0.9 of 2.8 GB: torch")
    complete_setup(project)
    ran = host.end()
    assert (
        "The environment is being made. This cell will run as soon as it is complete."
    ) in ran.text
    assert "\r3 of 12 packages, 0.9 of 2.8 GB: torch " in ran.text
    assert "42 " in ran.text
    assert "uv-20260101-000001" in ran.text
    assert ran.status == "ok"
    # From now on it is a kernel like any other: it outlives the window.
    assert host.run("x = only_here.value; print(x)").text == "42\n"
    kernel = project.kernel("a")
    host.close()
    reloaded = new_host()
    reloaded.open(lab)
    assert reloaded.run("print(x + 1)").text.endswith("43\n")
    assert project.kernel("a").pid == kernel.pid


def with_a_waiting_cell(project: KernelProject, host: ExtensionHost) -> ExtensionHost:
    """Make a window run a cell that waits for the complete environment."""
    host.open(project.lab("a"))
    host.start("import only_here")
    wait_until_cells_wait(project, "3 of 12 packages")
    return host


def test_cell_that_waits_can_be_interrupted(
    project: KernelProject, new_host: Callable[..., ExtensionHost]
) -> None:
    host = with_a_waiting_cell(project, new_host())
    host.call("interrupt", "window")
    ran = host.end()
    assert ran.status == "error"
    assert ran.text.endswith("KeyboardInterrupt")
    # What is asked next waits again, and what was taken back is not run.
    host.start("print('only_here' in sys.modules)")
    complete_setup(project)
    assert host.end().text.endswith("NameError")


def test_cell_that_waits_in_vain_says_so(
    project: KernelProject, new_host: Callable[..., ExtensionHost]
) -> None:
    host = with_a_waiting_cell(project, new_host())
    # The setup was killed before it gave a sign.
    lock = project.project.path / ".lab" / "environment.lock"
    (lock / "sign").unlink()
    os.utime(lock, (1, 1))
    ran = host.end()
    assert "\nThe environment is incomplete, and no setup is running." in ran.text
    assert "lab setup" in ran.text
    assert ran.status == "error"
    # The same window takes the environment that a later setup has made.
    complete_setup(project)
    wait_until(lambda: host.run("import only_here").status == "ok")


def test_both_halves_mean_the_same_environments() -> None:
    assert f"{environments.FIRST}-" == opening.FIRST
