"""What lab.toml and lab.local.toml say about the environment, read without a TOML library.

`lab setup` leaves both files, merged, in `.lab/settings.toml`; that counts until one of them is
newer.
"""

import os
import re
from pathlib import Path
from typing import Dict, List, NamedTuple

from ..files import changed_at
from ..folder_variables import NAMES, with_values
from .failures import Failure

__all__ = ["DEFAULT_PYTHON", "OLDEST_PYTHON", "Settings", "read_settings", "read_table"]

OLDEST_PYTHON = "3.11"
DEFAULT_PYTHON = "3.12"
_VALUE = re.compile(r"""^\s*([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s#"']+))""")
_TABLE = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")


class Settings(NamedTuple):
    """The table `[environment]`."""

    manager: str = "auto"
    python: str = DEFAULT_PYTHON
    named_python: str = ""
    """The version of Python that the project itself asks for, if it does."""
    folder: str = ""
    """Where environments are, if not in `.lab/envs`."""
    cache: str = ""
    """Where managers keep what they download, if not where they always do."""
    torch: str = ""
    """The build of torch: auto, cpu, cu126 ...; empty leaves it to the manager."""


def read_settings(root: Path) -> Settings:
    """Return what the project's files say."""
    values = read_table(root, "environment")
    given = {name: values[name] for name in Settings._fields if values.get(name)}
    for name in set(given) & {"folder", "cache"}:
        given[name] = _placed(given[name])
    return Settings(**dict(given, named_python=given.get("python", "")))


def read_table(root: Path, name: str) -> Dict[str, str]:
    """Return the plain values of one table, as texts, from the files that count."""
    values: Dict[str, str] = {}
    for path in reversed(_files(root)):
        values.update(_table(path, name))
    return values


def _placed(folder: str) -> str:
    """Return a folder with the values of its variables. Raises Failure."""
    values = {name: os.environ[name] for name in NAMES if os.environ.get(name)}
    values.setdefault("HOME", os.path.expanduser("~"))
    try:
        return with_values(folder, values)
    except KeyError as missing:
        raise Failure(
            "A folder in [environment] is {!r}, but the variable {} is not set.".format(
                folder, missing.args[0]
            ),
            "Name the folder in full, in lab.toml or lab.local.toml.",
        )
    except ValueError:
        raise Failure(
            "A folder in [environment] is {!r}; the only variables allowed are {}.".format(
                folder, ", ".join(NAMES)
            )
        )


def _files(root: Path) -> List[Path]:
    """Return the files that count, the strongest first."""
    local, project = root / "lab.local.toml", root / "lab.toml"
    handed = root / ".lab" / "settings.toml"
    at = changed_at(handed)
    if at is not None and all((changed_at(path) or 0) <= at for path in (local, project)):
        return [handed, local]
    return [local, project]


def _table(path: Path, name: str) -> Dict[str, str]:
    """Return the plain values of one table of a TOML file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    values: Dict[str, str] = {}
    inside = False
    for line in lines:
        heading = _TABLE.match(line)
        if heading:
            inside = heading.group(1).strip() == name
            continue
        value = _VALUE.match(line) if inside else None
        if value:
            values[value.group(1)] = next(text for text in value.groups()[1:] if text is not None)
    return values
