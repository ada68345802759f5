"""Which tool a project runs: what its lab.py pins, or the folder that lab.local.toml names."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .errors import ConfigurationError
from .tables import read_tables

__all__ = ["Pin", "read_pin"]

# As PEP 723 writes it.
_BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_REQUIREMENT = re.compile(r"ml[-_.]remote\s*(?:\[[^]]*\]\s*)?@\s*(?P<source>\S+)", re.IGNORECASE)
_AT_COMMIT = re.compile(r"git\+(?P<url>.+)@(?P<commit>[0-9a-f]{40})")


@dataclass(frozen=True, kw_only=True)
class Pin:
    """The tool that a project runs."""

    source: str
    """Where it comes from, in words: a URL with a commit, or a folder."""
    commit: str | None
    """The commit in full, where it is pinned to one."""
    folder: Path | None
    """The folder, where it is not pinned."""
    fingerprint: str
    """Changes when the project would run something else than before."""


def read_pin(root: Path) -> Pin | None:
    """Return what lab.py in the folder of a project runs; None when it leaves that to others.

    Raises ConfigurationError when lab.py cannot be read.
    """
    script = root / "lab.py"
    try:
        content = script.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{script} cannot be read: {error.strerror}.") from None
    pinned = next(filter(None, map(_REQUIREMENT.fullmatch, _dependencies(script, content))), None)
    folder = None if pinned else _folder(root)
    if pinned is None and folder is None:
        return None
    source = pinned["source"] if pinned else str(folder)
    exact = _AT_COMMIT.fullmatch(source)
    lock = script.with_name("lab.py.lock")
    parts = (content, lock.read_bytes() if lock.is_file() else b"", source.encode())
    return Pin(
        source=f"{exact['url']} at commit {exact['commit']}" if exact else source,
        commit=exact["commit"] if exact else None,
        folder=folder,
        fingerprint=sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest(),
    )


def _folder(root: Path) -> Path | None:
    """Return the folder of the tool that a project without a pin runs, if it names one."""
    tables = read_tables(root)
    path = os.environ.get("LAB_TOOL") or tables.table("tool").get("path")
    if isinstance(path, str):
        return root / path
    return None if "format" in tables.shared else root / "src" / "remote"  # a part of the project


def _dependencies(script: Path, content: bytes) -> list[str]:
    """Return what the metadata in a script asks for. Raises ConfigurationError."""
    block = _BLOCK.search(content.decode("utf-8", errors="replace").replace("\r\n", "\n"))
    if block is None:
        return []
    lines = [line[2:] for line in block["content"].splitlines()]
    try:
        asked = tomllib.loads("\n".join(lines)).get("dependencies", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The metadata in {script} is not valid TOML: {error}.") from None
    return [str(name) for name in asked] if isinstance(asked, list) else []
