"""The list in pyproject.toml, for uv and pip: read, and changed in place.

tomlkit keeps what a person has written as it is. It is imported only for a change, as it takes ten
times as long as Python's own parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..errors import LabError
from ..parsing import parse_toml
from .requirements import merged, name_of

if TYPE_CHECKING:
    from tomlkit import TOMLDocument
    from tomlkit.items import Array

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
_EXTRAS = ("project", "optional-dependencies")


def requirements(text: str) -> list[str]:
    """Return all that the environment is made from. Raises LabError when it cannot be read."""
    return [str(item) for array in _arrays(_read(text)) for item in array]


def options(text: str) -> list[str]:
    """Return the lines about indexes that the list of a repository of its own has."""
    return _strings(_table(_read(text), "tool", "lab"), "index-options")


def editable(text: str) -> str:
    """Return what of a repository of its own is installed, such as `.[train]`; else ""."""
    return str(_table(_read(text), "tool", "lab").get("editable", ""))


def oldest_python(text: str) -> str:
    """Return the oldest Python that the project allows, such as `3.11`."""
    given = str(_table(_read(text), "project").get("requires-python", ""))
    versions = [
        clause.strip().lstrip(">=~").strip().removesuffix(".*")
        for clause in given.split(",")
        if clause.strip()[:2] in (">=", "==", "~=")
    ]
    return versions[0] if versions and versions[0][:1].isdigit() else _OLDEST


def with_requirement(text: str, requirement: Requirement) -> str:
    """Return the file with this requirement, merged with those of the same name in each list."""
    document = _document(text)
    name = canonicalize_name(requirement.name)
    arrays = [array for array in _arrays(document) if _named(array, name)]
    for array in arrays:
        places = _named(array, name)
        before = [Requirement(str(array[number])) for number in places]
        after = merged(before, requirement)
        for number, old, new in zip(places, before, after, strict=False):
            if new != old:
                array[number] = str(new)
        for number in reversed(places[len(after) :]):
            del array[number]
        for new in after[len(places) :]:
            _insert(array, str(new), places[-1] + 1)
    if not arrays:
        _insert(_labs(document), str(requirement))
    return _checked(document)


def without(text: str, name: str) -> str:
    """Return the file without the requirements of this normalized name."""
    document = _document(text)
    for array in _arrays(document):
        for number in reversed(_named(array, name)):
            del array[number]
    return _checked(document)


def _named(array: Array, name: str) -> list[int]:
    """Return the places of the requirements of this normalized name."""
    return [number for number, item in enumerate(array) if name_of(str(item)) == name]


def _read(text: str) -> Mapping[str, Any]:
    _check_beginning(text)
    try:
        return parse_toml(text)
    except ValueError as error:
        raise _unreadable(str(error)) from None


def _document(text: str) -> TOMLDocument:
    """Return what can be changed, and written as it was otherwise."""
    import tomlkit

    _check_beginning(text)
    try:
        return tomlkit.parse(text)
    except tomlkit.exceptions.TOMLKitError as error:
        raise _unreadable(str(error)) from None


def _check_beginning(text: str) -> None:
    if text.startswith("\ufeff"):
        raise LabError(
            "pyproject.toml begins with a byte order mark, which no program accepts.",
            hint="Save it as UTF-8 without a byte order mark (BOM), then run the command again",
        )


def _unreadable(reason: str) -> LabError:
    return LabError(
        f"pyproject.toml cannot be read: {reason}", hint="Correct the file, then try again"
    )


def _checked(document: TOMLDocument) -> str:
    """Return the changed file. Raises LabError unless other programs read from it what is meant."""
    import tomlkit

    text = tomlkit.dumps(document)
    try:
        if parse_toml(text) == document.unwrap():
            return text
    except ValueError:
        pass
    raise LabError(
        "pyproject.toml cannot be changed safely, so no list was changed.",
        hint="Change [project] in that file yourself, then: lab lock",
    )


def _table(tables: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return a table in tables; an empty one where there is none. Raises LabError for no table."""
    for number, name in enumerate(names, 1):
        tables = tables.get(name, {})
        if not isinstance(tables, Mapping):
            raise _unreadable(f"{'.'.join(names[:number])} is not a table.")
    return tables


def _strings(table: Mapping[str, Any], name: str) -> list[str]:
    """Return the texts of a list in a table. Raises LabError for anything else."""
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise _unreadable(f"{name} is not a list of strings.")
    return [str(item) for item in found]


def _arrays(tables: Mapping[str, Any]) -> list[Any]:
    """Return the lists that count: the project's own, and those of its two extras."""
    project, groups = _table(tables, "project"), _table(tables, *_EXTRAS)
    found = []
    for table, name in ((project, "dependencies"), (groups, LABS), (groups, DEVELOPMENT)):
        _strings(table, name)
        found += [table[name]] if name in table else []
    return found


def _labs(document: TOMLDocument) -> Array:
    """Return the list that a new package goes to: the extra `lab`, else the project's own."""
    import tomlkit

    labs: Array | None = _table(document, *_EXTRAS).get(LABS)
    if labs is not None:
        return labs
    project: Any = document.setdefault("project", tomlkit.table())
    own: Array = project.setdefault("dependencies", tomlkit.array())
    return own


def _insert(array: Array, line: str, place: int | None = None) -> None:
    """Insert a requirement, by itself where the alphabet has it if the list is in that order."""
    values = [str(item) for item in array]
    items = [value.lower() for value in values]
    if place is None:
        place = len(items)
        if items == sorted(items):
            place = next((i for i, item in enumerate(items) if item > line.lower()), len(items))
    if "\n" in array.as_string():
        array.insert(place, line)
    else:  # tomlkit leaves out a space in front of the second item
        array.clear()
        array.extend([*values[:place], line, *values[place:]])
