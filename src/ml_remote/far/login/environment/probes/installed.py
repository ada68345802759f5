"""Print what is installed, and what of pyproject.toml and requirements.lock is missing.

.venv/bin/python installed.py PYPROJECT LOCK
"""

import json
import re
import sys
import tomllib
from email import message_from_bytes
from email.message import Message
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path
from typing import Dict, List, Set, Union

_GROUPS = ("lab", "dev")
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(.*)$")


def main(pyproject: str, lock: str) -> None:
    """Print a line of JSON: `versions` by normalised name, `problems` and `wanted`."""
    versions = _installed()
    wanted = _wanted(Path(pyproject))
    problems = _unfulfilled(wanted, versions)
    if lock:
        problems += _differing(Path(lock), versions)
    print(json.dumps({"versions": versions, "problems": problems, "wanted": wanted}))


def _installed() -> Dict[str, str]:
    found: Dict[str, str] = {}
    for distribution in metadata.distributions():
        fields = _fields(distribution)
        if fields["Name"] and not _is_aside(distribution):
            found.setdefault(_normalised(fields["Name"]), fields["Version"] or "")
    return found


def _fields(
    distribution: metadata.Distribution,
) -> Union["Message[str, str]", metadata.PackageMetadata]:
    """Return what a package says of itself, without the description, which is the most of it."""
    try:
        text = distribution.read_text("METADATA")
        if text is None:
            return distribution.metadata
        return HeaderParser().parsestr(text.partition("\n\n")[0])
    except UnicodeDecodeError:  # somebody wrote it in another encoding
        folder = Path(str(getattr(distribution, "_path", "")))
        files = (folder / "METADATA", folder / "PKG-INFO", folder)
        return message_from_bytes(next(file for file in files if file.is_file()).read_bytes())


def _is_aside(distribution: metadata.Distribution) -> bool:
    """Return whether this is a package that pip has put aside, and was killed before its end."""
    return Path(str(getattr(distribution, "_path", ""))).name.startswith("~")


def _text(path: Path) -> str:
    """Return the text of a list, whatever an editor has made of it: that is no reason to fail."""
    data = path.read_bytes()
    is_utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return data.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _wanted(pyproject: Path) -> List[str]:
    try:
        tables = tomllib.loads(_text(pyproject))
    except (OSError, ValueError, RecursionError):
        return []
    project = tables.get("project", {})
    groups = project.get("optional-dependencies", {})
    wanted = list(project.get("dependencies", []))
    for group in _GROUPS:
        wanted += groups.get(group, [])
    return wanted


def _unfulfilled(wanted: List[str], versions: Dict[str, str]) -> List[str]:
    problems = []
    for text in wanted:
        requirement, _, marker = text.partition(";")
        parts = _NAME.match(requirement)
        if parts is None or not _applies(marker.strip()):
            continue
        name, bounds = _normalised(parts.group(1)), parts.group(2).strip()
        if name not in versions:
            problems.append(f"{name} is missing")
        elif not _fits(versions[name], bounds):
            problems.append(f"{name} {versions[name]} does not fit {bounds}")
    return problems


def _applies(marker: str) -> bool:
    if not marker:
        return True
    try:
        from packaging.markers import Marker

        return bool(Marker(marker).evaluate())
    except (ImportError, ValueError):  # without that library, or not as the standard has it
        return False


def _fits(version: str, bounds: str) -> bool:
    if not bounds or bounds.startswith("@"):
        return True
    try:
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(bounds.strip("()")).contains(version, prereleases=True)
    except (ImportError, ValueError):
        return True


def _differing(lock: Path, versions: Dict[str, str]) -> List[str]:
    """Return what is installed in a version that the lock has not.

    What the lock has and is not installed may be for another system. A version for another system
    does not count: nothing here asks for it.
    """
    locked: Dict[str, Set[str]] = {}
    for line in _text(lock).splitlines():
        name, equals, rest = line.partition("==")
        if equals and not line.startswith("#") and _applies(line.partition(";")[2].strip()):
            version = re.split(r"[\s;]", rest.strip(), maxsplit=1)[0]
            locked.setdefault(_normalised(name.strip()), set()).add(version)
    problems = []
    for name, wanted in sorted(locked.items()):
        # A build of torch for the CPU is `2.9.0+cpu`.
        if name in versions and versions[name].partition("+")[0] not in {
            one.partition("+")[0] for one in wanted
        }:
            problems.append(f"{name} is {versions[name]}, not {' or '.join(sorted(wanted))}")
    return problems


if __name__ == "__main__":
    main(*sys.argv[1:3])
