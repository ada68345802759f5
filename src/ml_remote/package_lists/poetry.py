"""poetry's tables as requirements (https://python-poetry.org/docs/dependency-specification/)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .sources import table, texts, unusable

__all__ = ["bounds", "check_places", "indexes", "requirements"]

_DEVELOPMENT = "dev"
_EXTRAS = ("lab", _DEVELOPMENT)
_PUBLIC = "pypi"


def requirements(poetry: Mapping[str, Any], source: str) -> list[str]:
    """Return what the table [tool.poetry] asks for, with its group `dev`. Raises LabError."""
    extras = table(poetry, "extras")
    named = {name for extra in _EXTRAS for name in texts(extras.get(extra), source, extra)}
    return [
        _requirement(name, wanted, source)
        for name, wanted in _dependencies(poetry).items()
        if name in named or not _is_optional(wanted)
    ]


def _dependencies(poetry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked for by name, without Python itself."""
    found = {
        **table(poetry, "dependencies"),
        **table(poetry, "dev-dependencies"),
        **table(poetry, "group", _DEVELOPMENT, "dependencies"),
    }
    return {name: wanted for name, wanted in found.items() if name.lower() != "python"}


def _is_optional(wanted: object) -> bool:
    """Return whether a dependency is only for those who ask for one of the extras."""
    return isinstance(wanted, Mapping) and wanted.get("optional") is True


def check_places(poetry: Mapping[str, Any], source: str) -> None:
    """Raise LabError where [tool.poetry.dependencies] says where to get what [project] names.

    A name of somebody's own must never be looked for on the public index.
    """
    for name, wanted in _dependencies(poetry).items():
        if isinstance(wanted, Mapping) and {"source", "git", "url", "path", "file"} & set(wanted):
            raise unusable(source, name, "lab does not support this poetry source")


def indexes(poetry: Mapping[str, Any]) -> list[str]:
    """Return the indexes that poetry looks for every package on, as options."""
    found = poetry.get("source", [])
    return [
        f"--extra-index-url {index['url']}"
        for index in (found if isinstance(found, list) else [])
        if isinstance(index, Mapping) and "url" in index
        if str(index.get("priority", "primary")).lower() != "explicit"
    ]


def _requirement(name: str, wanted: object, source: str) -> str:
    """Return one dependency as a requirement."""
    if isinstance(wanted, str):
        return f"{name}{_bounds(wanted, name, source)}"
    if not isinstance(wanted, Mapping):
        raise unusable(source, name, "it has several constraints")
    if str(wanted.get("source", _PUBLIC)).lower() != _PUBLIC:
        raise unusable(source, name, "lab does not support poetry's package indexes")
    extras = texts(wanted.get("extras"), source, name)
    head = f"{name}[{','.join(extras)}]" if extras else name
    if "git" in wanted:
        revision = wanted.get("rev") or wanted.get("tag") or wanted.get("branch")
        return f"{head} @ git+{wanted['git']}" + (f"@{revision}" if revision else "")
    if "url" in wanted:
        return f"{head} @ {wanted['url']}"
    if "path" in wanted or "file" in wanted:
        raise unusable(source, name, "lab does not install packages from other folders")
    markers = [f"({wanted['markers']})"] if wanted.get("markers") else []
    if wanted.get("python"):
        markers += [
            f"python_version {one[:2].rstrip('0123456789')} '{one.lstrip('<>=!~')}'"
            for one in _bounds(str(wanted["python"]), name, source).split(",")
            if one
        ]
    line = f"{head}{_bounds(str(wanted.get('version', '*')), name, source)}"
    return f"{line}; {' and '.join(markers)}" if markers else line


def bounds(text: str) -> str:
    """Return the constraint of poetry on Python as the standard writes it. Raises LabError."""
    return _bounds(text, "python", "pyproject.toml")


def _bounds(text: str, name: str, source: str) -> str:
    """Return poetry's constraint as the standard writes it: `^1.2` is `>=1.2,<2`."""
    if "||" in text or "|" in text:
        raise unusable(source, f"{name} = {text}", "lab does not support alternative versions")
    found = [_bound(one.strip(), name, source) for one in text.split(",")]
    return ",".join(bound for bound in found if bound)


def _bound(text: str, name: str, source: str) -> str:
    if text in ("*", ""):
        return ""
    if text[0] in "<>=!":
        return re.sub(r"\s+", "", text)
    mark = text[0] if text[0] in "^~" else ""
    version = text.removeprefix("~=").lstrip("^~ ")
    if text.startswith("~="):
        return f"~={version}"
    if not re.fullmatch(r"\d+(\.\d+)*(\.\*|[a-z]+\d*)?", version):
        raise unusable(source, f"{name} = {text}", "this version cannot be read")
    if not mark:
        return f"=={version}"
    parts = [int(part) for part in re.findall(r"\d+", version)]
    if mark == "^":  # up to the next change of the first number that is not 0
        place = next((i for i, part in enumerate(parts) if part), len(parts) - 1)
    else:
        place = min(1, len(parts) - 1)
    upper = [*parts[:place], parts[place] + 1]
    return f">={version},<{'.'.join(map(str, upper))}"
