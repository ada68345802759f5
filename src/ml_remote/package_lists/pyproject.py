"""The list in pyproject.toml, for uv and pip: read, and changed in place."""

from __future__ import annotations

from typing import Any

import tomlkit
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from ..errors import LabError
from .requirements import name_of

__all__ = [
    "DEVELOPMENT",
    "LABS",
    "editable",
    "oldest_python",
    "options",
    "requirements",
    "with_requirement",
    "without",
]

LABS, DEVELOPMENT = "lab", "dev"
"""The extras of [project.optional-dependencies] that the environment consists of."""

_OLDEST = "3.11"


def requirements(text: str) -> list[str]:
    """Return all that the environment is made from. Raises LabError when it cannot be read."""
    return [str(item) for array in _arrays(_read(text)) for item in array]


def options(text: str) -> list[str]:
    """Return the lines about indexes that the list of a repository of its own has."""
    tool: Any = _read(text).get("tool", {})
    return [str(line) for line in tool.get("lab", {}).get("index-options", [])]


def editable(text: str) -> str:
    """Return what of a repository of its own is installed, such as `.[train]`; else ""."""
    tool: Any = _read(text).get("tool", {})
    return str(tool.get("lab", {}).get("editable", ""))


def oldest_python(text: str) -> str:
    """Return the oldest Python that the project allows, such as `3.11`."""
    given = str(_read(text).get("project", {}).get("requires-python", ""))
    versions = [
        clause.strip().lstrip(">=~").strip().removesuffix(".*")
        for clause in given.split(",")
        if clause.strip()[:2] in (">=", "==", "~=")
    ]
    return versions[0] if versions and versions[0][:1].isdigit() else _OLDEST


def with_requirement(text: str, requirement: Requirement) -> str:
    """Return the file with this requirement, in place of one of the same name."""
    document = _read(text)
    name, line = canonicalize_name(requirement.name), str(requirement)
    for array in _arrays(document):
        for number, item in enumerate(array):
            if name_of(str(item)) == name:
                array[number] = line
                return tomlkit.dumps(document)
    _insert(_labs(document), line)
    return tomlkit.dumps(document)


def without(text: str, name: str) -> str:
    """Return the file without the requirements of this normalized name."""
    document = _read(text)
    for array in _arrays(document):
        for number in reversed(range(len(array))):
            if name_of(str(array[number])) == name:
                del array[number]
    return tomlkit.dumps(document)


def _read(text: str) -> tomlkit.TOMLDocument:
    if text.startswith("\ufeff"):
        raise LabError(
            "pyproject.toml begins with a byte order mark, which no program accepts.",
            hint="Save it as UTF-8 without a byte order mark (BOM), then run the command again",
        )
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise LabError(
            f"pyproject.toml cannot be read: {error}", hint="Correct the file, then try again"
        ) from None


def _arrays(document: tomlkit.TOMLDocument) -> list[Array]:
    """Return the lists that count: the project's own, and those of its two extras."""
    project: Any = document.get("project", {})
    groups = project.get("optional-dependencies", {})
    found = [project.get("dependencies"), *(groups.get(name) for name in (LABS, DEVELOPMENT))]
    return [array for array in found if isinstance(array, Array)]


def _labs(document: tomlkit.TOMLDocument) -> Array:
    """Return the list that a new package goes to: the extra `lab`, else the project's own."""
    project: Any = document.setdefault("project", tomlkit.table())
    labs = project.get("optional-dependencies", {}).get(LABS)
    if isinstance(labs, Array):
        return labs
    if not isinstance(project.get("dependencies"), Array):
        project["dependencies"] = tomlkit.array()
    own = project["dependencies"]
    assert isinstance(own, Array)
    return own


def _insert(array: Array, line: str) -> None:
    """Insert a requirement where the alphabet has it, if the list is in that order."""
    values = [str(item) for item in array]
    items = [value.lower() for value in values]
    place = len(items)
    if items == sorted(items):
        place = next((i for i, item in enumerate(items) if item > line.lower()), len(items))
    if "\n" in array.as_string():
        array.insert(place, line)
    else:  # tomlkit leaves out a space in front of the second item
        array.clear()
        array.extend([*values[:place], line, *values[place:]])
