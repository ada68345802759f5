"""What CONTRIBUTING.md says of a new launcher: a file, and a line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TOOL

LAUNCHER = '''\
"""Starts a lab in a queue of another make."""

import click

from .ssh import LAUNCHER as SSH


class _Pbs(type(SSH)):
    name = "pbs"
    options = (click.Option(["--pbs"], is_flag=True, help="Start the lab by PBS."),)
    asked_by = ("pbs",)
    flags = "--pbs"


LAUNCHER = _Pbs()
'''


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """Return a copy of the tool, to change."""
    shutil.copytree(TOOL / "ml_remote", tmp_path / "ml_remote")
    (tmp_path / "lab.toml").write_text("format = 2\n")
    return tmp_path


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def said_by(tool: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-B", "-m", "ml_remote", *arguments],
        cwd=tool,
        env={**os.environ, "PYTHONPATH": str(tool)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_new_launcher_is_a_file_and_a_line(tool: Path) -> None:
    folder = tool / "ml_remote" / "runs" / "launchers"
    (folder / "pbs.py").write_text(LAUNCHER)
    replace_in(folder / "__init__.py", "import slurm,", "import pbs, slurm,")
    replace_in(
        folder / "__init__.py",
        "        slurm.LAUNCHER,\n",
        "        slurm.LAUNCHER,\n        pbs.LAUNCHER,\n",
    )
    assert "Start the lab by PBS." in said_by(tool, "run", "--help")
