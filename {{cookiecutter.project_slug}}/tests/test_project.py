"""The project's own promises: one list of packages, and labs whose notebooks are in step."""

import re
import tomllib
from pathlib import Path

import jupytext
import pytest

PROJECT = Path(__file__).resolve().parents[1]

# What a package of the Python package index is called on conda-forge, where the name differs.
CONDA_NAMES = {"graphviz": "python-graphviz", "matplotlib": "matplotlib-base", "torch": "pytorch"}
# What only conda has to be told: the interpreter, pip, and the program that python-graphviz calls.
ONLY_CONDA = {"python", "pip", "graphviz"}


def test_conda_and_pip_install_the_same_packages() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for_pip = set()
    for requirement in extras["lab"] + extras["dev"]:
        name, version = requirement.split(">=")
        for_pip.add(f"{CONDA_NAMES.get(name, name)}>={version}")
    listed = re.findall(r"^  - ([^#\s]+)", (PROJECT / "environment.yml").read_text(), re.MULTILINE)
    packages = listed[listed.index("conda-forge") + 1 :]
    for_conda = {line for line in packages if re.split(r"[=<>]", line)[0] not in ONLY_CONDA}
    assert for_conda == for_pip


@pytest.mark.parametrize("script", sorted(PROJECT.glob("labs/*.py")), ids=lambda path: path.stem)
def test_lab_has_a_parameters_cell_and_a_why_for_every_step(script: Path) -> None:
    cells = jupytext.read(script).cells
    assert cells[0].cell_type == "markdown"
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in cells) == 1
    assert sum(cell.cell_type == "markdown" for cell in cells) >= 8
