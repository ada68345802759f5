"""Kernels of JupyterLab that outlive it: VS Code and the next session find the same ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from session_fixtures import Desk
from session_kernel import Kernel
from tool_helpers import wait_until

from ml_remote.far.login import kernels
from ml_remote.far.login.environment.users import users_of

pytestmark = pytest.mark.slow


def living(desk: Desk) -> dict[str, kernels.Kernel]:
    """Return the kernels of the project that live, by their labs."""
    return {kernel.lab: kernel for kernel in kernels.list_kernels(str(desk.there.resolve()))}


def test_kernel_outlives_a_session_that_ends_by_itself_and_one_that_is_stopped(desk: Desk) -> None:
    settings = desk.project.path / "lab.toml"
    before = settings.read_text()
    # For the session alone: the kernel does what lab.toml on the machine says.
    settings.write_text(before.replace("idle_hours = 12", "idle_hours = 0.006"))
    try:
        first = desk.start("jupyter", "--no-browser")
        Kernel(first.read_page(), lab="labs/treelab.ipynb").run("kept = 41")
        kernel = living(desk)["labs/treelab"]
        assert kernels.is_shown(kernel)
        # A setup does not remove the environment that it began with.
        assert str(kernel.pid) in users_of(Path(kernel.python).parents[1], desk.there)
        assert first.wait() == 0
    finally:
        settings.write_text(before)
    assert "has ended" in first.said
    assert living(desk) == {"labs/treelab": kernel}
    wait_until(lambda: not kernels.is_shown(kernel))

    page = desk.start("jupyter", "--no-browser").read_page()
    same = Kernel(page, lab="labs/treelab.py")  # a script and its notebook are the same lab
    assert "42" in same.run("print(kept + 1)")
    same.restart()
    assert "False" in same.run("print('kept' in dir()); kept = 1")
    fresh = living(desk)["labs/treelab"]
    assert fresh.pid != kernel.pid
    other = Kernel(page, lab="labs/mnistlab.ipynb")
    other.run("pass")
    assert len(living(desk)) == 2
    other.shut_down()
    wait_until(lambda: living(desk) == {"labs/treelab": fresh})
    long = "import time\nfor _ in range(6000): time.sleep(0.1)"
    assert "begun" in same.begin(f"print('begun', flush=True)\n{long}", until="begun")
    assert desk.lab("jupyter", "--stop").returncode == 0
    wait_until(lambda: not kernels.is_shown(fresh))
    assert living(desk) == {"labs/treelab": fresh}
    assert kernels.is_busy(fresh)  # the cell was not interrupted


def test_kernels_end_with_the_session_where_they_are_not_kept(desk: Desk) -> None:
    own = desk.there / "lab.local.toml"
    own.write_text("[sessions]\nkeep_kernels = false\n")
    try:
        page = desk.start("jupyter", "--no-browser").read_page()
        Kernel(page, lab="labs/treelab.ipynb").run("kept = 41")
        assert living(desk) == {}
    finally:
        own.unlink()
