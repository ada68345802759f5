"""Small projects, each with an environment in which the hook is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from baking import TEMPLATE_ROOT, install_far, project_in
from filelock import FileLock
from kernels.driving import KernelProject
from tool_helpers import wait_until

from ml_remote.far.login.environment.environments import FIRST
from ml_remote.far.login.environment.hook import update_hook

__all__ = [
    "NEWEST",
    "WITHOUT_SUBSHELLS",
    "begin_setup",
    "complete_setup",
    "environment_with",
    "make_project",
    "wait_until_cells_wait",
]

BUILD = TEMPLATE_ROOT / "build" / "kernels"
NEWEST = ("ipykernel>=7", "debugpy", "ipywidgets", "matplotlib", "tqdm", "psutil")
WITHOUT_SUBSHELLS = ("ipykernel==6.29.5", "psutil")


def environment_with(name: str, packages: tuple[str, ...]) -> Path:
    """Return an environment with these packages, made once."""
    prefix = BUILD / name
    with FileLock(TEMPLATE_ROOT / "build" / f"kernels-{name}.lock"):
        if not (prefix / "complete").exists():
            subprocess.run(
                ["uv", "venv", "--quiet", "--clear", "--python", sys.executable, prefix], check=True
            )
            python = prefix / "bin" / "python"
            subprocess.run(
                ["uv", "pip", "install", "--quiet", "--python", python, *packages], check=True
            )
            (prefix / "complete").touch()
    return prefix


def make_project(path: Path, name: str, packages: tuple[str, ...]) -> KernelProject:
    """Make a project with a copy of an environment, in which the hook is."""
    below = environment_with(name, packages)
    prefix = path / ".lab" / "envs" / "uv-20260101-000000"
    (path / "labs").mkdir(parents=True)
    (path / "lab.toml").write_text("format = 2\n")
    (path / "src" / "package").mkdir(parents=True)
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, prefix], check=True)
    (folder,) = prefix.glob("lib/python3*/site-packages")
    (shared,) = below.glob("lib/python3*/site-packages")
    (folder / "layer.pth").write_text(f"{shared}\n")
    (path / ".venv").symlink_to(prefix.relative_to(path))
    project = project_in(path)
    install_far(project)
    update_hook(prefix, path, wanted=True)
    return KernelProject(project, path / ".venv" / "bin" / "python")


def begin_setup(project: KernelProject) -> None:
    """Point `.venv` at a first environment, as a running setup does."""
    root = project.project.path
    first = root / ".lab" / "envs" / f"{FIRST}-20260101-000000"
    (root / ".venv").resolve().rename(first)
    _lead_to(root, first)
    (root / ".lab" / "environment.incomplete").touch()
    lock = root / ".lab" / "environment.lock"
    lock.mkdir()
    (lock / "sign").touch()


def wait_until_cells_wait(project: KernelProject, step: str) -> None:
    """Report how far the setup is, and wait until a window has read it for a waiting cell."""
    said = project.project.path / ".lab" / "environment.lock" / "step"
    new = said.with_name("step.new")
    new.write_text(f"{step}\n")
    read = new.stat().st_atime_ns
    new.rename(said)  # it is there once it can be read as new: only its first reading is noted
    wait_until(lambda: said.stat().st_atime_ns > read)


def complete_setup(project: KernelProject) -> None:
    """Put a complete environment in the place of the first: one that has a package more."""
    root = project.project.path
    below = (root / ".venv").resolve()
    prefix = root / ".lab" / "envs" / "uv-20260101-000001"
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, prefix], check=True)
    (folder,) = prefix.glob("lib/python3*/site-packages")
    (shared,) = below.glob("lib/python3*/site-packages")
    (folder / "layer.pth").write_text((shared / "layer.pth").read_text())
    (folder / "only_here.py").write_text("value = 42\n")
    update_hook(prefix, root, wanted=True)
    _lead_to(root, prefix)
    (root / ".lab" / "environment.incomplete").unlink()


def _lead_to(root: Path, prefix: Path) -> None:
    """Point `.venv` at an environment, in one step."""
    (root / "new").symlink_to(prefix.relative_to(root))
    (root / "new").replace(root / ".venv")
