"""The one environment with torch in it that all tests share, made by the project's own script."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from baking import (
    TEMPLATE_ROOT,
    BakedProject,
    bake_project,
    environment_variables,
    isolated_variables,
)
from filelock import FileLock

__all__ = ["LabEnvironment", "lab_environment"]

BUILD = TEMPLATE_ROOT / "build"


@dataclass(frozen=True)
class LabEnvironment:
    """A baked project whose environment is complete."""

    project: BakedProject
    setup_output: str

    @property
    def python(self) -> Path:
        """The interpreter with torch, jupytext, papermill and pytest."""
        return self.project.path / ".venv" / "bin" / "python"


def lab_environment() -> LabEnvironment:
    """Bake the default project into build/ and let its script make `.venv`, if it must.

    The interpreter that runs the tests is the version asked for, as it is surely on this machine.
    """
    home = BUILD / "environment" / "home"
    with FileLock(BUILD / "environment.lock"):
        project = bake_project(
            BUILD / "environment",
            home=home,
            overwrite=True,
            python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
        )
        with environment_variables(isolated_variables(home)):
            done = subprocess.run(
                ["sh", "scripts/setup-environment.sh"],
                cwd=project.path,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
    assert done.returncode == 0, done.stdout
    return LabEnvironment(project=project, setup_output=done.stdout)
