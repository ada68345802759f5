"""What environment.yml asks for, compared with what is in an environment.

The names of the files in conda-meta say all that is needed, so it takes no noticeable time. Bounds
are compared where they and the version are plain numbers; anything else is left to the client.
"""

import re
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from ...failures import Failure
from ...inside import Inventory, normalised
from .requirements import read_requirements

__all__ = ["fits", "missing_or_other"]

_SPEC = re.compile(r"^(?:[^\s\[]*::)?([A-Za-z0-9_.-]+?)(?:\[[^\]]*\])?\s*([<>=!~ ].*)?$")
_NO_NAME = re.compile(r"^[-.]|\.(?:whl|zip|gz)$")
"""A line of the section `pip:` that is an option, a path, or for some systems only."""
_BOUND = re.compile(r"^(>=|<=|==|!=|~=|>|<|=)?\s*([0-9]+(?:\.[0-9]+)*)(\.?\*)?$")


def missing_or_other(
    prefix: Path, environment_yml: Path, found: Inventory, before: Mapping[str, str]
) -> List[str]:
    """Return what is missing, or has another version than is asked for.

    `before` has the versions of Python's packages as they were when the environment was proved: the
    client's own lock is the only list of versions there is.
    """
    try:
        wanted = read_requirements(environment_yml)
    except Failure:
        return []  # setup says it
    there = _in_conda_meta(prefix)  # without any, nobody can tell
    problems = _unfulfilled(wanted.specs, there) if there else []
    problems += _unfulfilled(wanted.pip, found.versions, is_pip=True)
    for name, version in sorted(before.items()):
        now = found.versions.get(name, version)
        if now != version:
            problems.append("{} is {}, not {}".format(name, now, version))
    return problems


def _in_conda_meta(prefix: Path) -> Dict[str, str]:
    """Return the version of each package; a file is called NAME-VERSION-BUILD.json."""
    parts = [path.stem.rsplit("-", 2) for path in (prefix / "conda-meta").glob("*.json")]
    return {part[0]: part[1] for part in parts if len(part) == 3}


def _unfulfilled(
    specs: List[str], versions: Mapping[str, str], *, is_pip: bool = False
) -> List[str]:
    problems = []
    for spec in specs:
        named = spec.partition("@")[0].strip()
        parts = _SPEC.match(named)
        if parts is None or (is_pip and (";" in spec or _NO_NAME.search(named))):
            continue
        name = normalised(parts.group(1)) if is_pip else parts.group(1).lower()
        bounds = (parts.group(2) or "").strip()
        if name not in versions:
            problems.append("{} is missing".format(name))
        elif not fits(versions[name], bounds):
            problems.append("{} {} does not fit {}".format(name, versions[name], bounds))
    return problems


def fits(version: str, bounds: str) -> bool:
    """Return whether a version is within bounds; True where that cannot be told."""
    number = _numbers(version.partition("+")[0])
    if number is None or "|" in bounds:
        return True
    return all(_fits(number, one.strip()) for one in bounds.split(",") if one.strip())


def _fits(version: Tuple[int, ...], bound: str) -> bool:
    parts = _BOUND.match(bound)
    if parts is None:  # with a build, or as only conda reads it
        return True
    sign, text, star = parts.groups()
    wanted = _numbers(text) or ()
    is_prefix = version[: len(wanted)] == wanted
    length = max(len(version), len(wanted))
    one, other = (number + (0,) * (length - len(number)) for number in (version, wanted))
    if sign in (None, "=") or (star and sign == "=="):
        return is_prefix
    if star and sign == "!=":
        return not is_prefix
    compared = {
        ">=": one >= other,
        "<=": one <= other,
        ">": one > other,
        "<": one < other,
        "!=": one != other,
        "~=": one >= other and version[: len(wanted) - 1] == wanted[:-1],
    }
    return compared.get(sign, one == other)


def _numbers(text: str) -> Optional[Tuple[int, ...]]:
    plain = re.match(r"^[0-9]+(\.[0-9]+)*$", text)
    return tuple(int(part) for part in text.split(".")) if plain else None
