"""Print which installed packages the lists need, and which of those they once needed can go.

.venv/bin/python leaving.py WANTED BEFORE

Both are JSON: requirements as they are written in the lists, and the names that were needed when
the environment was proved last. A package that somebody has installed by hand was never needed by
the lists, so it stays, and with it whatever it needs itself.
"""

import json
import re
import sys
from email import message_from_bytes
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Dict, Iterable, List, Set, Tuple, cast

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?$")
_EXTRA = re.compile(r"\bextra\s*==\s*['\"]([^'\"]+)['\"]")
_Wanted = Tuple[str, Tuple[str, ...]]


def main(wanted: str, before: str) -> None:
    """Print a line of JSON: `needed` and `leaving`, both names in order."""
    requires = _requires()
    roots = [one for text in json.loads(wanted) for one in _parsed(text, ())]
    needed = _closure(roots, requires)
    known = set(json.loads(before))
    by_hand = [(name, ()) for name in requires if name not in known]
    leaving = known & set(requires) - _closure([*roots, *by_hand], requires)
    print(json.dumps({"needed": sorted(needed), "leaving": sorted(leaving)}))


def _requires() -> Dict[str, List[str]]:
    """Return the requirements of each installed package, by its normalised name."""
    found: Dict[str, List[str]] = {}
    for distribution in metadata.distributions():
        if _is_aside(distribution):
            continue
        about = _metadata(distribution)
        try:
            needed = distribution.requires
        except UnicodeDecodeError:
            needed = about.get_all("Requires-Dist")
        if about["Name"]:
            found.setdefault(_normalised(about["Name"]), list(needed or ()))
    return found


def _metadata(distribution: metadata.Distribution) -> Message:
    """Return what a package says of itself, also where that is in another encoding."""
    try:
        return cast(Message, distribution.metadata)
    except UnicodeDecodeError:
        folder = Path(str(getattr(distribution, "_path", "")))
        files = (folder / "METADATA", folder / "PKG-INFO", folder)
        return message_from_bytes(next(file for file in files if file.is_file()).read_bytes())


def _is_aside(distribution: metadata.Distribution) -> bool:
    """Return whether this is a package that pip has put aside, and was killed before its end."""
    return Path(str(getattr(distribution, "_path", ""))).name.startswith("~")


def _closure(roots: Iterable[_Wanted], requires: Dict[str, List[str]]) -> Set[str]:
    """Return these installed packages, and all that they need."""
    seen: Set[_Wanted] = set()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if one in seen or one[0] not in requires:
            continue
        seen.add(one)
        for text in requires[one[0]]:
            waiting += _parsed(text, one[1])
    return {name for name, _ in seen}


def _parsed(text: str, extras: Tuple[str, ...]) -> List[_Wanted]:
    """Return what a requirement asks for, if anything, when these extras were asked for."""
    parts = _NAME.match(text)
    if parts is None or not _applies(parts.group(4) or "", extras):
        return []
    own = [_normalised(one.strip()) for one in (parts.group(2) or "").split(",") if one]
    return [(_normalised(parts.group(1)), tuple(sorted(own)))]


def _applies(marker: str, extras: Tuple[str, ...]) -> bool:
    """Return whether a requirement counts; one that nobody can judge does, so nothing is lost."""
    named = {_normalised(name) for name in _EXTRA.findall(marker)}
    if named and not named & set(extras):
        return False
    try:
        from packaging.markers import Marker
    except ImportError:
        return True
    try:
        return not marker.strip() or any(
            Marker(marker).evaluate({"extra": extra}) for extra in (*extras, "")
        )
    except ValueError:
        return True


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main(*sys.argv[1:3])
