"""A person's own constraints, which pip and uv also obey: named if no versions fit."""

import os
import re
from pathlib import Path
from typing import Iterator, List

from ..commands import answer

__all__ = ["constraints_of_pip", "constraints_of_uv", "files_of_uv"]

_OF_PIP = re.compile(r"(?m)^(\w+|:env:)\.constraint=(.+)$")
_OF_UV = re.compile(r"(?m)^\s*((?:constraint|override)-dependencies)\s*=")
_VARIABLES_OF_UV = ("UV_CONSTRAINT", "UV_OVERRIDE")


def constraints_of_pip(python: str, text: str) -> List[str]:
    """Return a hint for each, if what pip has printed names a constraint that is not the lock.

    `python` is an interpreter that has pip.
    """
    if "(constraint)" not in text:
        return []
    listed = answer([python, "-m", "pip", "config", "list"]) or ""
    return list(_of_pip(listed))


def _of_pip(listed: str) -> Iterator[str]:
    for section, value in _OF_PIP.findall(listed.replace("\r\n", "\n")):
        if section == ":env:":
            undo = "unset PIP_CONSTRAINT"
        else:
            undo = "python3 -m pip config unset {}.constraint".format(section)
        yield "pip also obeys {}. To undo that: {}".format(value.strip("'"), undo)


def constraints_of_uv(root: Path) -> List[str]:
    """Return a hint for each that uv finds for a project."""
    hints = []
    for name in _VARIABLES_OF_UV:
        if os.environ.get(name):
            hints.append("uv also obeys {}. To undo that: unset {}".format(os.environ[name], name))
    for file in files_of_uv(root):
        try:
            found = _OF_UV.search(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if found:
            hints.append("uv also obeys {} in {}.".format(found.group(1), file))
    return hints


def files_of_uv(root: Path) -> List[Path]:
    """Return the files that uv reads its settings from; not all of them need to exist."""
    if os.environ.get("UV_NO_CONFIG"):
        return []
    chosen = os.environ.get("UV_CONFIG_FILE")
    if chosen:
        return [Path(chosen)]
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    usual = [root / "uv.toml", root / "pyproject.toml", Path(own, "uv", "uv.toml")]
    return [*usual, Path("/etc/uv/uv.toml")]
