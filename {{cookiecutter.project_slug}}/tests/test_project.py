"""The project's own promises: one list of packages, labs that can run, one set of settings."""

import json
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jupytext
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]

# What a package of the Python package index is called on conda-forge, where the name differs.
CONDA_NAMES = {"graphviz": "python-graphviz", "matplotlib": "matplotlib-base", "torch": "pytorch"}
# What only conda has to be told: the interpreter, pip, and the program that python-graphviz calls.
ONLY_CONDA = {"python", "pip", "graphviz"}
CONTAINERS = [".devcontainer/devcontainer.json", ".devcontainer/gpu/devcontainer.json"]
# These two run on the laptop and have nothing to do inside a container.
LAPTOP_ONLY = {"ms-vscode-remote.remote-ssh", "ms-vscode-remote.remote-containers"}


def test_conda_and_pip_install_the_same_packages() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    asked = [Requirement(line) for line in extras["lab"] + extras["dev"]]
    for_pip = {canonicalize_name(one.name): str(one.specifier) for one in asked}
    packages = (PROJECT / "environment.yml").read_text().partition("dependencies:")[2]
    listed = re.findall(r"^ +- ([^#\s:]+)(?: *#.*)?$", packages, re.MULTILINE)
    entries = [line for line in listed if re.split("[=<>!~]", line)[0] not in ONLY_CONDA]
    for_conda = {one.name: str(one.specifier) for one in map(Requirement, entries)}
    same = {name for name in for_pip if CONDA_NAMES.get(name, name) in for_conda}
    for name in same:
        assert for_conda.pop(CONDA_NAMES.get(name, name)) == for_pip.pop(name), name
    # What is left has another name on conda-forge, which `lab add` knows; the bounds agree.
    assert sorted(for_conda.values()) == sorted(for_pip.values())


@pytest.mark.parametrize("script", sorted(PROJECT.glob("labs/*.py")), ids=lambda path: path.stem)
def test_lab_has_what_it_needs_to_run(script: Path) -> None:
    cells = jupytext.read(script).cells
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in cells) <= 1
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert set(re.findall(r'start_run\(\s*"(.*?)"', code)) <= {script.stem}
    imported = set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE))
    assert [name for name in sorted(imported) if find_spec(name) is None] == []


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
