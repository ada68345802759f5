"""The list in environment.yml, for conda: changed line by line, so that all else stays as it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from packaging.utils import canonicalize_name
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from ..errors import LabError

__all__ = ["with_package", "with_pip_requirement", "without"]

_PIP = "pip: "
_NAME = re.compile(r"(?:[\w./-]+::)?([A-Za-z0-9_.-]+)")


def with_package(text: str, name: str, bounds: str) -> str:
    """Return the file with a package of conda-forge, in place of those of the same name."""
    packages = _packages(text)
    lines = text.splitlines(keepends=True)
    wanted = f"{name}{bounds}"
    same = [(line, item) for line, item in _plain(packages) if _name(item) == name]
    if same:
        line, item = same[0]
        lines[line] = lines[line].replace(item, wanted, 1)
        _delete(lines, [line for line, _ in same[1:]])
    else:
        _insert(lines, _place(packages, name), f"{_indent(packages)}- {wanted}\n")
    return _checked(text, "".join(lines), gone={item for _, item in same}, new=[wanted])


def with_pip_requirement(text: str, *requirements: str) -> str:
    """Return the file with the requirements of a package in the `pip:` section, made if missing."""
    packages = _packages(text)
    lines = text.splitlines(keepends=True)
    wanted = canonicalize_name(_name(requirements[0]))
    line, section = next(iter(_pip_sections(packages)), (None, None))
    same = [one for one in _plain(section) if canonicalize_name(_name(one[1])) == wanted]
    outer = _indent(packages)
    indent = f"{outer}  " if section is None else _indent(section)
    entries = "".join(f"{indent}- {_quoted(one)}\n" for one in requirements)
    if line is None:
        _insert(lines, _end(packages), f"{outer}- pip:\n{entries}")
    elif section is None:
        _insert(lines, line + 1, entries)
    elif same:
        lines[same[0][0]] = entries
        _delete(lines, [number for number, _ in same[1:]])
    else:
        _insert(lines, _end(section), entries)
    gone = {f"{_PIP}{item}" for _, item in same}
    new = [f"{_PIP}{one}" for one in requirements]
    return _checked(text, "".join(lines), gone=gone, new=new)


def without(text: str, name: str | None, conda_name: str | None) -> str:
    """Return the file without a package: by its conda name, and by its own in the pip section."""
    packages = _packages(text)
    gone = [(line, item) for line, item in _plain(packages) if _name(item) == conda_name]
    pip_names = [canonicalize_name(_name(one[5:])) for one in _content(text)[1] if one[:5] == _PIP]
    for line, section in _pip_sections(packages) if name in pip_names else ():
        of_pip = [
            (number, f"{_PIP}{item}")
            for number, item in _plain(section)
            if canonicalize_name(_name(item)) == name
        ]
        gone += of_pip
        if section and len(of_pip) == len(section):
            gone.append((line, ""))
    lines = text.splitlines(keepends=True)
    _delete(lines, [line for line, _ in gone])
    return _checked(text, "".join(lines), gone={item for _, item in gone})


def _packages(text: str) -> CommentedSeq:
    """Return the dependencies. Raises LabError when the file cannot be read."""
    packages = _read(text).get("dependencies")
    if not isinstance(packages, CommentedSeq) or not packages or packages.fa.flow_style():
        raise _unreadable("it has no list of dependencies, one per line")
    return packages


def _read(text: str) -> CommentedMap:
    try:
        read: Any = YAML().load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise _unreadable((str(error).splitlines() or ["it is not YAML"])[0]) from None
    return read if isinstance(read, CommentedMap) else CommentedMap()


def _unreadable(reason: str) -> LabError:
    return LabError(
        f"environment.yml cannot be read: {reason}.", hint="Correct the file, then try again"
    )


def _checked(before: str, after: str, *, gone: Collection[str], new: Sequence[str] = ()) -> str:
    """Return the changed file.

    Raises LabError unless it differs from the one before in these packages, and in nothing else:
    there are more ways to write YAML than can be changed by the line.
    """
    others, entries = _content(before)
    expected = others, sorted([*(one for one in entries if one not in gone), *new])
    try:
        if _content(after) == expected:
            return after
    except LabError:
        pass
    raise _unchangeable()


def _unchangeable() -> LabError:
    return LabError(
        "environment.yml cannot be changed line by line, so no list was changed.",
        hint="Write each package on a line of its own, then run the command again",
    )


def _content(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return what the file has beside the packages, and these, sorted: `a>=1`, `pip: b`."""
    read = _read(text)
    entries = []
    for item in read.get("dependencies") or ():
        for kind, packages in item.items() if isinstance(item, CommentedMap) else [("", [item])]:
            several = packages if isinstance(packages, list) else [packages]
            start = f"{kind}: " if kind else ""
            entries += [f"{start}{one}" for one in several if one is not None]
    return {name: value for name, value in read.items() if name != "dependencies"}, sorted(entries)


def _plain(packages: CommentedSeq | None) -> list[tuple[int, str]]:
    """Return the entries that are text, each with the number of its line."""
    if packages is None:
        return []
    return [
        (packages.lc.item(index)[0], item)
        for index, item in enumerate(packages)
        if isinstance(item, str)
    ]


def _pip_sections(packages: CommentedSeq) -> list[tuple[int, CommentedSeq | None]]:
    """Return the `pip:` sections, each with the number of its first line; None if it is empty.

    Raises LabError for one that has no line for each package.
    """
    found = []
    for index, item in enumerate(packages):
        if isinstance(item, CommentedMap) and "pip" in item:
            section = item["pip"]
            if section is not None and (
                not isinstance(section, CommentedSeq) or section.fa.flow_style()
            ):
                raise _unchangeable()
            found.append((packages.lc.item(index)[0], section))
    return found


def _name(item: str) -> str:
    found = _NAME.match(item.strip())
    return found[1].lower() if found else item


def _place(packages: CommentedSeq, name: str) -> int:
    """Return before which line a package goes.

    That is in the largest group of neighbouring lines, behind the last name that comes before it.
    """
    groups: list[list[tuple[int, str]]] = []
    for line, item in _plain(packages):
        if groups and groups[-1][-1][0] == line - 1:
            groups[-1].append((line, item))
        else:
            groups.append([(line, item)])
    if not groups:
        return _end(packages)
    largest = max(groups, key=len)
    before = [line for line, item in largest if _name(item) < name]
    return before[-1] + 1 if before else largest[0][0]


def _end(packages: CommentedSeq) -> int:
    """Return the line behind the last entry that is text; if none is, the line of the first."""
    first: int = packages.lc.item(0)[0]
    return max((line + 1 for line, _ in _plain(packages)), default=first)


def _indent(packages: CommentedSeq) -> str:
    """Return what is in front of the dashes of a list."""
    column: int = packages.lc.col
    return " " * column


def _delete(lines: list[str], numbers: Collection[int]) -> None:
    lines[:] = [line for number, line in enumerate(lines) if number not in numbers]


def _insert(lines: list[str], place: int, line: str) -> None:
    """Insert a line; the one before it may be the last of the file, without a line break."""
    if place > 0 and not lines[place - 1].endswith("\n"):
        lines[place - 1] += "\n"
    lines.insert(place, line)


def _quoted(requirement: str) -> str:
    """Return a requirement as YAML: in quotes where it would mean something else without."""
    special = any(mark in requirement for mark in (": ", " #")) or requirement[0] in "@[{'\"*&!|>%"
    return "'{}'".format(requirement.replace("'", "''")) if special else requirement
