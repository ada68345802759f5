"""Projects of the last version of which every project held a copy, and runs that it starts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, bake_project
from environment import LabEnvironment
from tool_helpers import LocalProject, ReadyProject

__all__ = ["VENDORED", "vendored_project"]

VENDORED = "98ef0cf"
"""The last commit at which a project held a copy of the tool, in src/remote."""


def vendored_project(
    folder: Path, *, home: Path, ready_project: ReadyProject, environment: LabEnvironment
) -> LocalProject:
    """Bake a project of that version here, and put it in the place of the one on the machine.

    Skips the test where the clone does not have that commit.
    """
    archive = subprocess.run(
        ["git", "-C", str(TEMPLATE_ROOT), "archive", VENDORED], capture_output=True
    )
    if archive.returncode != 0:
        pytest.skip(f"this clone does not have commit {VENDORED}: git fetch --unshallow")
    template = folder / "template"
    template.mkdir()
    subprocess.run(["tar", "-x"], cwd=template, input=archive.stdout, check=True)
    project = bake_project(folder / "vendored", home=home, template=template, ssh_alias="machine")
    name = f'folder = "{project.path.name}"'
    settings = project.read("lab.toml")
    assert name in settings
    (project.path / "lab.toml").write_text(
        settings.replace(name, f'folder = "{ready_project.folder}"')
    )
    shutil.rmtree(ready_project.folder)
    shutil.copytree(project.path, ready_project.folder, ignore=shutil.ignore_patterns(".git"))
    # The environment of the tests has another version of the package.
    python = ready_project.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH={ready_project.folder}/src exec {environment.python} "$@"\n'
    )
    python.chmod(0o755)
    return LocalProject(project)
