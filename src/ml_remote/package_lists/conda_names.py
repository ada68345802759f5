"""What a package of the Python package index is called on conda-forge.

The map of grayskull, which the package `conda-pypi` ships as data, has more than 12,000 names. Only
that file of it is needed, so it is fetched when a name is first asked for, without dependencies.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from ..errors import LabError
from ..parsing import parse_json
from ..processes import run
from .uv import uv_program

__all__ = ["conda_name", "conda_names"]

_PACKAGE = "conda-pypi==0.13.1"
_MAP = "conda_pypi/grayskull_pypi_mapping.json"
_SECONDS = 120

# What every project has, so that no network is needed for it.
_KNOWN = {"graphviz": "python-graphviz", "matplotlib": "matplotlib-base", "torch": "pytorch"}


def conda_name(name: str) -> str | None:
    """Return what a normalized name is called on conda-forge; None if it is not known there."""
    return _KNOWN.get(name) or conda_names().get(name)


@cache
def conda_names() -> dict[str, str]:
    """Return the map. Raises LabError when it cannot be fetched."""
    folder = user_cache_path("ml-remote") / _PACKAGE
    path = folder / _MAP
    if not path.is_file():
        _fetch(folder)
    try:
        entries = parse_json(path.read_text(encoding="utf-8"))
        return {name: str(entry["conda_name"]) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError) as error:
        raise LabError(
            f"The map of names for conda, {path}, cannot be read: {error}",
            hint="Remove that folder, then run the command again",
        ) from None


def _fetch(folder: Path) -> None:
    command = [uv_program(), "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    done = run([*command, _PACKAGE], timeout=_SECONDS)
    if done.returncode != 0:
        raise LabError(
            "The map of names for conda could not be fetched.",
            quoted=(done.stderr,),
            hint="Check that the package index can be reached, then run the command again",
        )
