"""The project's own promises: one list of packages, and labs whose notebooks are in step."""

import re
import tomllib
from pathlib import Path

import jupytext
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[1]

# What a package of the Python package index is called on conda-forge, where the name differs.
CONDA_NAMES = {"graphviz": "python-graphviz", "matplotlib": "matplotlib-base", "torch": "pytorch"}
# What only conda has to be told: the interpreter, pip, and the program that python-graphviz calls.
ONLY_CONDA = {"python", "pip", "graphviz"}


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
def test_lab_has_a_parameters_cell_and_a_why_for_every_step(script: Path) -> None:
    cells = jupytext.read(script).cells
    assert cells[0].cell_type == "markdown"
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in cells) == 1
    assert sum(cell.cell_type == "markdown" for cell in cells) >= 8
