"""The one environment with torch in it that all tests share, made by the project's own script."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from baking import (
    TEMPLATE_ROOT,
    THIS_PYTHON,
    BakedProject,
    bake_project,
    environment_variables,
    isolated_variables,
)
from filelock import FileLock

__all__ = ["LabEnvironment", "lab_environment", "layered"]

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


def layered(project: BakedProject, below: LabEnvironment) -> LabEnvironment:
    """Give another project an environment of its own, with the packages of the shared one in it.

    Only what is installed counts in a run: PYTHONPATH is not heard there.
    """
    prefix = project.path / ".venv"
    if not prefix.exists():
        subprocess.run([below.python, "-m", "venv", "--without-pip", str(prefix)], check=True)
        (folder,) = prefix.glob("lib/python3*/site-packages")
        own = (below.project.path / ".venv").resolve()
        (shared,) = own.glob("lib/python3*/site-packages")
        for program in (own / "bin").iterdir():  # they start the shared interpreter
            if not (prefix / "bin" / program.name).exists():
                (prefix / "bin" / program.name).symlink_to(program)
        (prefix / "share").symlink_to(own / "share")  # templates and kernels of Jupyter
        lines = [str(project.path / "src"), f"import site; site.addsitedir({str(shared)!r})"]
        (folder / "layer.pth").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return LabEnvironment(project, below.setup_output)


def lab_environment() -> LabEnvironment:
    """Bake the default project into build/ and let its script make `.venv`, if it must.

    Tests that run in several processes share it: the first of them makes it. The interpreter that
    runs the tests is the version asked for, as it is surely on this machine.
    """
    folder = BUILD / "environment"
    made_for, output = folder / "made-for", folder / "setup-output"
    this_run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"process {os.getpid()}")
    with FileLock(BUILD / "environment.lock"):
        if not made_for.exists() or made_for.read_text() != this_run:
            project = _bake_afresh(folder)
            output.write_text(_set_up(project, home=folder / "home"))
            made_for.write_text(this_run)
        (path,) = folder.glob("*/lab.toml")
        (package,) = (path.parent / "src").iterdir()
    return LabEnvironment(BakedProject(path.parent, package.name), output.read_text())


def _bake_afresh(folder: Path) -> BakedProject:
    """Bake the default project; of an earlier bake only the environment stays."""
    kept = folder / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    for settings in folder.glob("*/lab.toml"):
        for name in (".venv", ".lab"):
            if (settings.parent / name).exists():
                (settings.parent / name).rename(kept / name)
        shutil.rmtree(settings.parent)
    project = bake_project(folder, home=folder / "home", python_version=THIS_PYTHON)
    for path in kept.iterdir():
        path.rename(project.path / path.name)
    return project


def _set_up(project: BakedProject, *, home: Path) -> str:
    """Run the project's own script and return what it printed."""
    with environment_variables(isolated_variables(home)):
        done = subprocess.run(
            ["sh", "scripts/setup-environment.sh"],
            cwd=project.path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    assert done.returncode == 0, done.stdout
    return done.stdout
