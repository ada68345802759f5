"""The two dev containers, as the dev container command line reads them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from baking import BakedProject
from conftest import Bake
from editor.json_with_comments import read_json
from editor.node_tools import PROGRAMS, install_node_tools, node_environment

CPU = ".devcontainer/devcontainer.json"
GPU = ".devcontainer/gpu/devcontainer.json"
LAPTOP_ONLY = {"ms-vscode-remote.remote-ssh", "ms-vscode-remote.remote-containers"}
DATA = "/home/vscode/data"
# The base image is asked for what it adds to the configuration. This answers in place of an engine:
# there is no container yet, and the image has the user that the real one has.
ENGINE = """#!/bin/sh
if [ "$1" = inspect ]; then
    printf '%s' '[{"Id": "sha256:0", "Architecture": "amd64", "Os": "linux", "Config": {
        "User": "root", "Env": [],
        "Labels": {"devcontainer.metadata": "[{\\"remoteUser\\": \\"vscode\\"}]"}
    }}]'
fi
"""


def merged_configuration(project: BakedProject, name: str, engine: Path) -> dict[str, Any]:
    """Return the configuration that a container would be made with."""
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    program = install_node_tools() / "@devcontainers" / "cli" / "devcontainer.js"
    done = subprocess.run(
        [
            *(PROGRAMS / "node", program, "read-configuration", "--include-merged-configuration"),
            f"--workspace-folder={project.path}",
            f"--config={project.path / name}",
            f"--docker-path={engine}",
        ],
        env=node_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["mergedConfiguration"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", [CPU, GPU])
def test_merged_configuration_is_what_the_project_means(
    default_project: BakedProject, tmp_path: Path, name: str
) -> None:
    merged = merged_configuration(default_project, name, tmp_path / "engine")
    assert merged["remoteUser"] == "vscode"
    assert merged["updateContentCommands"] == ["sh scripts/setup-environment.sh"]
    assert merged["waitFor"] == "updateContentCommand"  # else the window finds no interpreter
    (codespaces,) = merged["customizations"]["codespaces"]
    assert codespaces == {"openFiles": ["README.md"]}
    for mount in merged["mounts"]:  # whatever the folder is called; the id is letters and digits
        volume = mount.split("source=")[1].split(",")[0].replace("${devcontainerId}", "0a1b")
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", volume)
    targets = [mount.split("target=")[1].split(",")[0] for mount in merged["mounts"]]
    workspace = f"/workspaces/{default_project.path.name}"
    assert targets == [f"{workspace}/.venv", "/cache", DATA]
    assert all(mount.endswith("type=volume") for mount in merged["mounts"])
    assert ".ssh" not in json.dumps(merged)
    assert merged["containerEnv"]["LAB_DATA_DIR"] == DATA
    (code,) = merged["customizations"]["vscode"]
    settings = read_json(default_project, ".vscode/settings.json")
    assert code["settings"] == settings
    assert merged["portsAttributes"] == settings["remote.portsAttributes"]
    recommended = read_json(default_project, ".vscode/extensions.json")["recommendations"]
    assert set(code["extensions"]) == set(recommended) - LAPTOP_ONLY


@pytest.mark.slow
def test_only_one_of_them_asks_for_a_card(default_project: BakedProject, tmp_path: Path) -> None:
    cpu = merged_configuration(default_project, CPU, tmp_path / "engine")
    gpu = merged_configuration(default_project, GPU, tmp_path / "engine")
    assert "runArgs" not in cpu
    assert gpu["runArgs"] == ["--gpus", "all", "--shm-size", "8g"]
    folder = default_project.path / ".devcontainer"
    for name, one in ((CPU, cpu), (GPU, gpu)):
        place = (default_project.path / name).parent
        assert (place / one["build"]["dockerfile"]).resolve() == folder / "Dockerfile"
        assert (place / one["build"]["context"]).resolve() == default_project.path


@pytest.mark.slow
@pytest.mark.parametrize("name", [CPU, GPU])
def test_every_key_is_one_that_the_command_line_knows(
    default_project: BakedProject, name: str
) -> None:
    """It does not complain of a key that it never reads, so a misspelt one would go unnoticed."""
    program = install_node_tools() / "@devcontainers/cli/dist/spec-node/devContainersSpecCLI.js"
    code = program.read_text(encoding="utf-8")
    for key in read_json(default_project, name):
        assert f".{key}" in code or f'"{key}"' in code, key


@pytest.mark.parametrize(
    ("manager", "installed"), [("auto", "uv=="), ("uv", "uv=="), ("conda", "/opt/conda")]
)
def test_container_brings_the_manager_that_was_chosen(
    bake: Bake, manager: str, installed: str
) -> None:
    dockerfile = bake(copied=True, environment_manager=manager).read(".devcontainer/Dockerfile")
    assert installed in dockerfile
    assert ("uv==" in dockerfile) is (manager != "conda")
    images = [line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM ")]
    assert [image.rpartition(":")[2] for image in images] == ["2.2.3-bookworm"]
