"""Small projects, each with an environment in which the hook is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from baking import TEMPLATE_ROOT, install_far, project_in
from filelock import FileLock
from kernels.driving import KernelProject

from ml_remote.far.login.environment.hook import update_hook

__all__ = ["NEWEST", "WITHOUT_SUBSHELLS", "make_project"]

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
