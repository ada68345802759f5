"""A project that pins another version of the tool, and a `uv` that says what it is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from baking import TOOL
from tool.start.installed import SETTINGS, START, Start, script


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project that pins another version than this one."""
    monkeypatch.delenv("LAB_TOOL", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "lab.toml").write_text(SETTINGS)
    (folder / "lab.py").write_text(script())
    return folder


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a `uv` that prints its arguments; it is first on PATH."""
    program = tmp_path / "programs" / "uv"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "uv $*"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.fixture
def lab(project: Path, uv: Path) -> Start:
    """Type `lab` in the project, with nobody at the terminal."""

    def run(*words: str, folder: Path = project, **variables: str) -> object:
        return subprocess.run(
            [*START, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(TOOL), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return run  # type: ignore[return-value]
