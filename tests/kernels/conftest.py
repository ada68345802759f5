"""Fixtures: small environments with the hook in them, a project, and an extension host."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, install_far, project_in
from filelock import FileLock
from kernels.driving import ExtensionHost, KernelProject

from ml_remote.far.login.environment.hook import update_hook

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


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KernelProject]:
    """The projects, each made when it is needed first."""
    folder = tmp_path_factory.mktemp("kernels")
    return {
        "newest": make_project(folder / "newest", "newest", NEWEST),
        "without subshells": make_project(folder / "older", "older", WITHOUT_SUBSHELLS),
    }


@pytest.fixture(scope="session")
def project(made: dict[str, KernelProject]) -> Iterator[KernelProject]:
    """A project with the newest ipykernel."""
    yield made["newest"]
    made["newest"].end_kernels()


@pytest.fixture(scope="session")
def older_project(made: dict[str, KernelProject]) -> Iterator[KernelProject]:
    """A project whose ipykernel has no subshells."""
    yield made["without subshells"]
    made["without subshells"].end_kernels()


@pytest.fixture
def new_host(project: KernelProject, tmp_path: Path) -> Iterator[Callable[..., ExtensionHost]]:
    """Start extension hosts, which end with the test."""
    with ExitStack() as stack:

        def start(project: KernelProject = project) -> ExtensionHost:
            host = ExtensionHost(project, tmp_path)
            stack.callback(host.kill)
            return host

        yield start
