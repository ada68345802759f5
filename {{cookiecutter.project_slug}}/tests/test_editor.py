"""What VS Code is told: the same in .vscode and in the dev containers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[1]
CONTAINERS = [".devcontainer/devcontainer.json", ".devcontainer/gpu/devcontainer.json"]
# These two run on the laptop and have nothing to do inside a container.
LAPTOP_ONLY = {"ms-vscode-remote.remote-ssh", "ms-vscode-remote.remote-containers"}


def read(name: str) -> dict[str, Any]:
    """Return the content of a JSON file with comments, each on a line of its own."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    return content


@pytest.mark.parametrize("name", CONTAINERS)
def test_dev_container_has_the_settings_and_extensions_of_the_folder(name: str) -> None:
    in_container = read(name)["customizations"]["vscode"]
    recommended = read(".vscode/extensions.json")["recommendations"]
    assert in_container["settings"] == read(".vscode/settings.json")
    assert set(in_container["extensions"]) == set(recommended) - LAPTOP_ONLY


@pytest.mark.parametrize("name", CONTAINERS)
def test_dev_container_labels_the_same_ports(name: str) -> None:
    settings = read(".vscode/settings.json")
    assert read(name)["portsAttributes"] == settings["remote.portsAttributes"]


def test_the_two_dev_containers_differ_in_the_card_only() -> None:
    cpu, gpu = map(read, CONTAINERS)
    for one in (cpu, gpu):
        for key in ("name", "build", "hostRequirements", "runArgs"):
            one.pop(key, None)
        one["containerEnv"].pop("UV_TORCH_BACKEND", None)
    assert cpu == gpu
