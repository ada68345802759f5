"""The dev container, really built and used, on a machine without a Docker engine."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from baking import TOOL, BakedProject, bake_project
from devcontainer.containers import (
    STORAGE,
    Container,
    build_image,
    copy_of_the_cache,
    make_base_image,
    remove_image,
    start_container,
)
from editor.json_with_comments import read_json
from needs import IS_ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IS_ROOT, reason="only root can build images without user namespaces"),
]

CONFIGURATION = ".devcontainer/devcontainer.json"
IMAGE = "dev-container-under-test"
PYTHON = "3.11"  # Debian 12's own, so that uv need not fetch one
USER_ID = 1000
TOOL_THERE = "/opt/lab-tool"


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    """Yield the container of a fresh project, before its onCreateCommand."""
    place = STORAGE / "test"  # on one disk with the cache of downloads, where it can be
    shutil.rmtree(place, ignore_errors=True)
    project = bake_project(place, home=tmp_path / "home", python_version=PYTHON)
    configuration = read_json(project, CONFIGURATION)
    folder = (project.path / CONFIGURATION).parent
    dockerfile = folder / configuration["build"]["dockerfile"]
    base, suite = re.findall(r"^FROM (\S+-(\w+))$", dockerfile.read_text(), re.MULTILINE)[0]
    make_base_image(base, suite=suite)
    context = folder / configuration["build"]["context"]
    build_image(dockerfile, context=context, name=IMAGE)

    workspace = f"/workspaces/{project.path.name}"
    volumes = {workspace: project.path}
    for mount in configuration["mounts"]:
        target = dict(part.split("=") for part in mount.split(","))["target"]
        target = target.replace("${containerWorkspaceFolder}", workspace)
        volumes[target] = place / "volumes" / Path(target).name  # root's, as Docker makes them
        volumes[target].mkdir(parents=True, exist_ok=True)
    own = volumes["/cache"] / str(USER_ID)
    own.mkdir()
    copy_of_the_cache(own, owner=USER_ID)
    # The project pins no version of the tool, as its template is a folder.
    volumes[TOOL_THERE] = place / "tool"
    shutil.copytree(TOOL, volumes[TOOL_THERE] / "src")
    for path in (project.path, *project.path.rglob("*")):
        os.chown(path, USER_ID, USER_ID)

    environment = {**configuration["containerEnv"], "LAB_TOOL": TOOL_THERE}
    # torch without CUDA comes from an index of its own, which not every machine can reach.
    del environment["UV_TORCH_BACKEND"]
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates and certificates.startswith("/etc/ssl/certs/"):
        environment["SSL_CERT_FILE"] = certificates
    container = Container(
        name=start_container(IMAGE),
        user=configuration["remoteUser"],
        folder=workspace,
        volumes=volumes,
        environment=environment,
    )
    yield container
    container.remove()
    remove_image(IMAGE)
    shutil.rmtree(place)


def test_container_is_built_and_runs_the_digit_lab(
    container: Container, default_project: BakedProject
) -> None:
    project = container.volumes[container.folder]
    configuration = read_json(default_project, CONFIGURATION)
    assert container.run("id", "--user", "--name").strip() == "vscode"
    # Another user of the host has made a container before, and kept downloads to themselves.
    (container.volumes["/cache"] / "0").mkdir(mode=0o700)
    container.run("sh", "-c", configuration["onCreateCommand"])
    assert container.run("sh", "-c", "cd ~/.cache && pwd -P").strip() == f"/cache/{USER_ID}"
    made = container.run("sh", "-c", configuration["updateContentCommand"])
    assert "The environment is complete: Python 3.11" in made
    assert "up to date" in container.run("sh", "-c", configuration["updateContentCommand"])
    container.run("sh", "-c", "touch ~/.cache/mine ~/data/mine")

    # .venv is on its volume, and nothing of it in the folder of the host.
    venv = container.volumes[f"{container.folder}/.venv"]
    assert (venv / "bin" / "python").is_symlink()
    assert not (project / ".venv" / "bin").exists()

    python = f"{container.folder}/.venv/bin/python"
    lab = ("labs/mnistlab.py", "-p", "dataset", "digits", "-p", "epochs", "3")
    container.run(python, ".lab/far/current", "headless", *lab)
    (results,) = (project / "outputs" / "mnistlab").iterdir()
    metrics = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["accuracy"] > 0.9
    assert (results / "mnistlab.html").stat().st_uid == USER_ID
