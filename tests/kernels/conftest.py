"""Fixtures: projects whose environments have the hook, and extension hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kernels.driving import ExtensionHost, KernelProject
from kernels.projects import NEWEST, WITHOUT_SUBSHELLS, make_project


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, KernelProject]]:
    """Yield projects with the newest ipykernel, and with one that has no subshells."""
    folder = tmp_path_factory.mktemp("kernels")
    projects = {
        "newest": make_project(folder / "newest", "newest", NEWEST),
        "without subshells": make_project(folder / "older", "older", WITHOUT_SUBSHELLS),
    }
    yield projects
    for project in projects.values():
        project.end_kernels()


@pytest.fixture
def project(made: dict[str, KernelProject]) -> KernelProject:
    """Return the project with the newest ipykernel."""
    return made["newest"]


@pytest.fixture
def new_host(
    made: dict[str, KernelProject], project: KernelProject, tmp_path: Path
) -> Iterator[Callable[..., ExtensionHost]]:
    """Start extension hosts, which end with the test; no kernel of another attempt is met."""
    for one in made.values():
        one.end_kernels()
    with ExitStack() as stack:

        def start(project: KernelProject = project) -> ExtensionHost:
            host = ExtensionHost(project, tmp_path)
            stack.callback(host.kill)
            return host

        yield start
