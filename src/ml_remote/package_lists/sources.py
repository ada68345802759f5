"""The lists of a repository that has its own: what its environment is made from.

`lab` never writes them. They are read into the form that the machine takes: a pyproject.toml with
plain requirements under constraints, or an environment.yml.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import LabError, NoProjectError, UsageError
from ..parsing import parse_toml
from ..settings import SOURCES
from ..tables import read_tables

__all__ = [
    "first_list",
    "how_to_add",
    "how_to_list",
    "manager_of",
    "refuse_to_change",
    "source_of",
    "table",
    "texts",
    "unusable",
]

_SCRIPT = "scripts/setup-environment.sh"
_OTHERS = {
    "pixi.toml": "pixi workspace export conda-environment environment.yml",
    "Pipfile": "pipenv requirements > requirements.txt",
    "setup.py": "echo '-e .' > requirements.txt",
    "setup.cfg": "echo '-e .' > requirements.txt",
}
"""What other lists become one of SOURCES by."""


def source_of(root: Path) -> str:
    """Return the list that counts; "" for a project of the template, which has lists of ours.

    That is `from` in [environment] of lab.toml, else the first of SOURCES that is there.
    """
    try:
        named = read_tables(root).table("environment").get("from")
    except NoProjectError:
        named = None
    if isinstance(named, str):
        return named
    return "" if (root / _SCRIPT).is_file() else first_list(root)


def first_list(root: Path) -> str:
    """Return the first of SOURCES that is there; "" if there is none.

    A pyproject.toml that only sets up tools is no list of packages.
    """
    return next((name for name in SOURCES if (root / name).is_file() and _is_list(root / name)), "")


def _is_list(path: Path) -> bool:
    if path.name != "pyproject.toml":
        return True
    try:
        tables = parse_toml(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return True  # told by what reads it
    return bool({"project", "dependency-groups"} & {*tables}) or "poetry" in table(tables, "tool")


def how_to_list(root: Path) -> str:
    """Return how to make a list that counts from another one that is there; "" if none is.

    That of a subfolder counts once it is named: nobody else knows which one is meant.
    """
    for name, how in _OTHERS.items():
        if (root / name).is_file():
            return f"{name} is not supported. Convert it: {how}"
    for name in SOURCES:
        for path in sorted(root.glob(f"*/{name}")):
            found = path.relative_to(root).as_posix()
            if found.isprintable() and found[0] != "." and _is_list(path):
                line = f"from = {json.dumps(found, ensure_ascii=False)}"
                return f"To use {found}, add to lab.toml, under [environment]: {line}"
    return ""


def manager_of(root: Path, source: str) -> str:
    """Return how people change a list of this kind, for a sentence."""
    name = PurePosixPath(source).name
    if name == "uv.lock":
        return "uv add NAME, uv remove NAME, uv lock --upgrade"
    if name == "pyproject.toml":
        try:
            text = (root / source).read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        if "[tool.poetry" in text:
            return "poetry add NAME, poetry remove NAME, poetry update"
        return f"edit dependencies in {source}"
    return f"edit {source}"


def how_to_add(root: Path, package: str, *, local: bool = False) -> str:
    """Return the hint for a package that a program misses; it is a name of our own map."""
    source = source_of(root)
    setup = "lab setup --local" if local else "lab setup"
    if not source:
        return f"lab add {'--local ' if local else ''}{shlex.quote(package)}"
    return f"Add {shlex.quote(package)} to {source} ({manager_of(root, source)}), then: {setup}"


def refuse_to_change(root: Path, command: str) -> None:
    """Raise UsageError where the lists are the repository's own, which `lab` never changes."""
    source = source_of(root)
    if source:
        what = manager_of(root, source)
        raise UsageError(
            f"`lab {command}` changes only lab's own lists, but this environment is made from "
            f"{source}.",
            hint=f"Change that list instead ({what}), then: lab setup",
        )


def table(tables: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return a table in tables; an empty one where there is none."""
    found: Any = tables
    for name in names:
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def texts(value: object, source: str, name: str) -> list[str]:
    """Return a list of texts; an empty one for None. Raises LabError for anything else.

    The letters of a text are packages, too.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise unusable(source, name, "it must be a list of strings")
    return value


def unusable(source: str, line: str, why: str) -> LabError:
    """Return the error for a line that cannot be taken over."""
    return LabError(
        f"{source} has {line!r}: {why}.",
        hint='Name another list in lab.toml, under [environment]: from = "requirements.txt"',
    )
