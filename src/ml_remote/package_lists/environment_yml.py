"""The list in environment.yml, for conda: changed line by line, so that all else stays as it is."""

from __future__ import annotations

import re
from typing import Any

from packaging.utils import canonicalize_name
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from ..errors import LabError

__all__ = ["with_package", "with_pip_requirement", "without"]

_NAME = re.compile(r"(?:[\w./-]+::)?([A-Za-z0-9_.-]+)")


def with_package(text: str, name: str, bounds: str) -> str:
    """Return the file with a package of conda-forge, in place of one of the same name."""
    packages = _packages(text)
    lines = text.splitlines(keepends=True)
    for line, item in _plain(packages):
        if _name(item) == name:
            lines[line] = lines[line].replace(item, f"{name}{bounds}", 1)
            return "".join(lines)
    place, indent = _place(packages, name)
    _insert(lines, place, f"{indent}- {name}{bounds}\n")
    return "".join(lines)


def with_pip_requirement(text: str, requirement: str) -> str:
    """Return the file with a requirement in the `pip:` section, which is made if there is none."""
    packages = _packages(text)
    lines = text.splitlines(keepends=True)
    section = _pip_section(packages)
    wanted = canonicalize_name(_name(requirement))
    if section is None:
        last, indent = _end(packages, lines)
        _insert(lines, last + 1, f"{indent}- pip:\n{indent}  - {_quoted(requirement)}\n")
        return "".join(lines)
    for line, item in _plain(section):
        if canonicalize_name(_name(item)) == wanted:
            indent = lines[line][: section.lc.item(0)[1] - 2]
            lines[line] = f"{indent}- {_quoted(requirement)}\n"
            return "".join(lines)
    last, indent = _end(section, lines)
    _insert(lines, last + 1, f"{indent}- {_quoted(requirement)}\n")
    return "".join(lines)


def without(text: str, name: str, conda_name: str) -> str:
    """Return the file without a package: by its conda name, and by its own in the pip section."""
    packages = _packages(text)
    gone = {line for line, item in _plain(packages) if _name(item) == conda_name}
    section = _pip_section(packages)
    if section is not None:
        of_pip = {line for line, item in _plain(section) if canonicalize_name(_name(item)) == name}
        gone |= of_pip
        if len(of_pip) == len(section):
            gone.add(_pip_line(packages))
    lines = text.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines) if number not in gone)


def _packages(text: str) -> CommentedSeq:
    """Return the dependencies. Raises LabError when the file cannot be read."""
    try:
        read: Any = YAML().load(text)
    except YAMLError as error:
        raise _unreadable(str(error).splitlines()[0]) from None
    packages = read.get("dependencies") if isinstance(read, CommentedMap) else None
    if not isinstance(packages, CommentedSeq) or not packages or packages.fa.flow_style():
        raise _unreadable("it has no list of dependencies, one per line")
    return packages


def _unreadable(reason: str) -> LabError:
    return LabError(
        f"environment.yml cannot be read: {reason}.", hint="Correct the file, then try again"
    )


def _plain(packages: CommentedSeq) -> list[tuple[int, str]]:
    """Return the entries that are text, each with the number of its line."""
    return [
        (packages.lc.item(index)[0], item)
        for index, item in enumerate(packages)
        if isinstance(item, str)
    ]


def _pip_section(packages: CommentedSeq) -> CommentedSeq | None:
    for item in packages:
        if isinstance(item, CommentedMap) and isinstance(item.get("pip"), CommentedSeq):
            section: CommentedSeq = item["pip"]
            return section
    return None


def _pip_line(packages: CommentedSeq) -> int:
    (index,) = [i for i, item in enumerate(packages) if isinstance(item, CommentedMap)]
    line: int = packages.lc.item(index)[0]
    return line


def _name(item: str) -> str:
    found = _NAME.match(item.strip())
    return found[1].lower() if found else item


def _place(packages: CommentedSeq, name: str) -> tuple[int, str]:
    """Return before which line a package goes, and its indentation.

    That is in the largest group of neighbouring lines, behind the last name that comes before it.
    """
    entries = _plain(packages)
    groups: list[list[tuple[int, str]]] = []
    for line, item in entries:
        if groups and groups[-1][-1][0] == line - 1:
            groups[-1].append((line, item))
        else:
            groups.append([(line, item)])
    largest = max(groups, key=len)
    before = [line for line, item in largest if _name(item) < name]
    indent = " " * (packages.lc.item(0)[1] - 2)
    return (before[-1] + 1 if before else largest[0][0]), indent


def _end(packages: CommentedSeq, lines: list[str]) -> tuple[int, str]:
    """Return the last line of a list, and the indentation of its entries."""
    line = packages.lc.item(len(packages) - 1)[0]
    item = packages[len(packages) - 1]
    if isinstance(item, CommentedMap):
        line = max(line, *(number for number, _ in _plain(item["pip"])))
    return line, " " * (packages.lc.item(0)[1] - 2)


def _insert(lines: list[str], place: int, line: str) -> None:
    """Insert a line; the one before it may be the last of the file, without a line break."""
    if place > 0 and not lines[place - 1].endswith("\n"):
        lines[place - 1] += "\n"
    lines.insert(place, line)


def _quoted(requirement: str) -> str:
    """Return a requirement as YAML: in quotes where it would mean something else without."""
    special = any(mark in requirement for mark in (": ", " #")) or requirement[0] in "@[{'\"*&!|>%"
    return "'{}'".format(requirement.replace("'", "''")) if special else requirement
