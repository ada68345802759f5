"""Which tool a project runs: what its lab.py pins, or the folder that lab.local.toml names."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .errors import ConfigurationError
from .tables import LOCAL_FILE, PROJECT_FILE, read_toml

__all__ = ["Pin", "read_pin"]

# As PEP 723 writes it.
_BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_NAME = re.compile(r"ml[-_.]remote(?![-\w.])", re.IGNORECASE)
_REQUIREMENT = re.compile(r"[-\w.]+\s*(?:\[[^]]*\]\s*)?@\s*(?P<source>\S+)")
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

    Raises ConfigurationError when lab.py cannot be read, or names what cannot be shown.
    """
    script = root / "lab.py"
    content = _read(script)
    if content is None:
        return None
    dependencies = _dependencies(script, content)
    pinned = next(filter(_NAME.match, dependencies), None)
    folder = _named_folder(root)
    if folder is None and pinned is None:
        folder = _copied_folder(root)
    if folder is None and pinned is None:
        return None
    source = str(folder)
    if folder is None and pinned is not None:  # in a form that is not ours, as it is written
        address = _REQUIREMENT.fullmatch(pinned)
        source = address["source"] if address else pinned
    if not source.isprintable():
        raise ConfigurationError(
            f"{script} takes the tool from an address with control characters."
        )
    exact = _AT_COMMIT.fullmatch(source)
    parts = (content, _read(script.with_name("lab.py.lock")) or b"", source.encode())
    return Pin(
        source=f"{exact['url']} at commit {exact['commit']}" if exact else source,
        commit=exact["commit"] if exact else None,
        folder=folder,
        fingerprint=sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest(),
    )


def _read(path: Path) -> bytes | None:
    """Return the content of a file, None when it does not exist. Raises ConfigurationError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None


def _named_folder(root: Path) -> Path | None:
    """Return the folder of the tool that LAB_TOOL or lab.local.toml names; lab.py prefers it."""
    path: object = os.environ.get("LAB_TOOL")
    if path is None:
        tool = (read_toml(root / LOCAL_FILE) or {}).get("tool")
        path = tool.get("path") if isinstance(tool, dict) else None
    return root / Path(path).expanduser() if isinstance(path, str) and path else None


def _copied_folder(root: Path) -> Path | None:
    """Return the folder of the tool in a project of format 1, which holds a copy of it."""
    settings = read_toml(root / PROJECT_FILE) or {}
    copied = root / "src" / "remote"
    return copied if "format" not in settings and copied.is_dir() else None


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
