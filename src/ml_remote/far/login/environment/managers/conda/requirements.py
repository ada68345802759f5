"""environment.yml as the clients' options, and the lock: exact packages for one platform and card.

Only what conda itself writes and people write by hand is read: lists in block or flow form. A lock
has the form of `conda list --explicit --md5`; comments say what it is for.
"""

import hashlib
import platform
import re
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from ....files import replace_text
from ...failures import Failure
from .packages import Package

__all__ = [
    "CondaLock",
    "Requirements",
    "lock_name",
    "read_lock",
    "read_requirements",
    "this_platform",
    "write_list",
    "write_lock",
]

_KEY = re.compile(r"^(\s*)(?:-\s+)?([A-Za-z_]+)\s*:\s*(.*)$")
_ITEM = re.compile(r"^(\s*)-\s+(.*)$")
_FLOW = re.compile(r"(?<=:)\s*\[[^\]]*\]")
_FLOW_ITEM = re.compile(r"'[^']*'|\"[^\"]*\"|[^,\s][^,]*")
_SPEC = re.compile(r"^[A-Za-z0-9_*][A-Za-z0-9_./:*-]*\s*([\[<>=!~ ].*)?$")
_LISTS_LINE, _CARD_LINE = "# lists: ", "# card: "
_URL = re.compile(r"^\S+/([^/#\s]+?)-([^-/#\s]+)-([^-/#\s]+?)(?:\.conda|\.tar\.bz2)#([0-9a-f]+)$")
_MACHINES = {
    "linux": {"x86_64": "linux-64", "aarch64": "linux-aarch64", "ppc64le": "linux-ppc64le"},
    "darwin": {"x86_64": "osx-64", "arm64": "osx-arm64"},
    "win32": {"amd64": "win-64", "arm64": "win-arm64"},
}
_SECRET = re.compile(r"(?<=://)[^/@\s]+@|/t/[^/\s]+(?=/)")


class Requirements(NamedTuple):
    """What environment.yml asks for."""

    channels: List[str]
    """In order; empty leaves them to the person's configuration."""
    specs: List[str]
    pip: List[str]
    """The section `pip:`: requirements as pip reads them."""

    @property
    def options(self) -> List[str]:
        """The channels as options; a person's other channels are kept out."""
        named = [word for name in self.channels for word in ("--channel", name)]
        return ["--override-channels", *named] if named else []

    @property
    def digest(self) -> str:
        """A hash of all of it, for the lock."""
        text = "\0".join([*self.channels, "", *self.specs, "", *self.pip])
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


class CondaLock(NamedTuple):
    """A lock for this platform."""

    path: Path
    digest: str
    """`Requirements.digest` of the list that it fulfils."""
    card: str
    """The version of CUDA that its torch is for; empty: none."""
    packages: List[Tuple[str, str, str]]
    """Name, version and build of each package."""


def read_requirements(path: Path) -> Requirements:
    """Return what the file asks for. Raises Failure if it is missing or asks for nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Failure("{} is not UTF-8.".format(path), "Save it as UTF-8.")
    except OSError as error:
        raise Failure(
            "{} cannot be read: {}.".format(path, error),
            "conda needs this list. If it is missing: git checkout environment.yml",
        )
    lists = _lists(text)
    specs = [_spec(text) for text in lists.get("dependencies", [])]
    if not specs:
        raise Failure(
            "{} lists no packages under `dependencies:`.".format(path),
            "It must be a list with one package per line, such as `  - numpy>=1.26`.",
        )
    channels = [name for name in lists.get("channels", []) if name != "nodefaults"]
    return Requirements(channels, specs, lists.get("pip", []))


def write_list(path: Path, wanted: Requirements) -> None:
    """Write an environment.yml for `env update`, without the section `pip:`.

    nodefaults keeps a person's channels out of `env update`, with older conda as with newer.
    """
    channels = "".join("  - '{}'\n".format(name) for name in [*wanted.channels, "nodefaults"])
    specs = "".join("  - '{}'\n".format(spec.replace("'", "''")) for spec in wanted.specs)
    path.write_text("channels:\n{}dependencies:\n{}".format(channels, specs), encoding="utf-8")


def _lists(text: str) -> Dict[str, List[str]]:
    """Return the items of each list in the file, by its key."""
    found: Dict[str, List[str]] = {}
    key, depth = "", 0
    plain = "\n".join(re.sub(r"(^|\s)#.*$", "", line).rstrip() for line in text.splitlines())
    # A list in flow form may have several lines.
    for line in _FLOW.sub(lambda flow: " ".join(flow.group().split("\n")), plain).split("\n"):
        if not line.strip():
            continue
        named = _KEY.match(line)
        if named and (not named.group(3) or named.group(3).startswith("[")):
            key, depth = named.group(2), len(named.group(1))
            flow = named.group(3).strip("[] ")
            found[key] = [_plain(item) for item in _FLOW_ITEM.findall(flow)]
            continue
        item = _ITEM.match(line)
        if item is None:
            key = ""
            continue
        if key == "pip" and len(item.group(1)) <= depth:  # the section has ended
            key, depth = "dependencies", 0
        if key:
            found[key].append(_plain(item.group(2)))
    return found


def _plain(item: str) -> str:
    item = item.strip()
    if len(item) > 1 and item[0] == item[-1] and item[0] in "'\"":
        item = item[1:-1]
    return item


def _spec(text: str) -> str:
    """Return a requirement as a word of a command line. Raises Failure if it is none."""
    if not _SPEC.match(text):
        raise Failure(
            "environment.yml asks for `{}`, which is not the name of a package.".format(text),
            "Write a name and bounds, such as `numpy>=1.26`.",
        )
    return re.sub(r"\s*(<=|>=|==|!=|~=|=|<|>|,)\s*", r"\1", text)


def this_platform() -> str:
    """Return conda's name of this platform."""
    machine = platform.machine().lower()
    return _MACHINES.get(sys.platform, {}).get(machine, "{}-{}".format(sys.platform, machine))


def lock_name() -> str:
    """Return the name of the lock's file for this platform."""
    return "conda-{}.lock".format(this_platform())


def read_lock(path: Path) -> Optional[CondaLock]:
    """Return a lock; None if there is none that can be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    if "@EXPLICIT" not in lines:
        return None
    urls = [_URL.match(line) for line in lines]
    packages = [(url.group(1), url.group(2), url.group(3)) for url in urls if url]
    return CondaLock(path, _value(lines, _LISTS_LINE), _value(lines, _CARD_LINE), packages)


def _value(lines: List[str], prefix: str) -> str:
    for line in lines:
        if line.startswith(prefix):
            return line[len(prefix) :].strip()
    return ""


def write_lock(path: Path, packages: List[Package], *, digest: str, card: str) -> None:
    """Write the lock of an environment, in one step. Passwords in addresses are left out."""
    lines = [
        "# What `lab setup` installed with conda, for everybody on this platform with this card.",
        "# platform: " + this_platform(),
        _LISTS_LINE + digest,
        _CARD_LINE + card,
        "@EXPLICIT",
    ]
    lines += [_SECRET.sub("", "{}#{}".format(package.url, package.md5)) for package in packages]
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, "\n".join(lines) + "\n")
