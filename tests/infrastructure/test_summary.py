"""What the tests' own run tells: processes that were left behind, and what was skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT

LEAVING = """
import pathlib
import subprocess


def test_that_leaves_a_process():
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    while not pathlib.Path(f"/proc/{left.pid}/environ").read_bytes():
        pass  # the program is about to begin


def test_that_ends_what_it_starts():
    with subprocess.Popen(["sleep", "600"]) as process:
        process.kill()
"""
SKIPPING = """
import pytest


@pytest.mark.parametrize("number", range(3))
def test_zsh(number):
    pytest.skip("zsh is not installed")


@pytest.mark.skip(reason="only root can make an account")
def test_account():
    pass
"""


def run(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a file of tests with the hooks of ours; return the outcome."""
    (folder / "test_x.py").write_text(source)
    plugins = ["-p", "leftovers", "-p", "skipped", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TEMPLATE_ROOT / "tests")},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="one process"),
        pytest.param(("-n", "1"), id="xdist", marks=pytest.mark.slow),
    ],
)
def test_process_that_is_left_behind_is_named_and_ended(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = run(tmp_path, LEAVING, "--patience=0", *options)
    assert done.returncode == 1, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("process ")]
    assert "started in test_x.py::test_that_leaves_a_process: sleep 600" in line
    process = Path("/proc") / line.split()[1].rstrip(",") / "cmdline"
    assert not process.exists() or not process.read_bytes()


@pytest.mark.slow
def test_skipped_tests_are_counted_for_each_reason(tmp_path: Path) -> None:
    done = run(tmp_path, SKIPPING)
    assert done.returncode == 0, done.stdout
    assert "    3  zsh is not installed\n    1  only root can make an account\n" in done.stdout


@pytest.mark.slow
def test_nothing_is_said_when_all_is_well(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_it():\n    pass\n")
    assert done.returncode == 0
    assert "skipped" not in done.stdout
    assert "process" not in done.stdout
