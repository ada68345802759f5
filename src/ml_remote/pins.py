"""Which tool a project runs: what its lab.py pins, or the folder that lab.local.toml names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .errors import ConfigurationError
from .files import typed_path
from .parsing import parse_json, parse_toml
from .tables import LOCAL_FILE, PROJECT_FILE, read_toml

__all__ = [
    "LOCK",
    "SCRIPT",
    "Pin",
    "describe",
    "in_words",
    "is_template_script",
    "pinned_source",
    "read_pin",
    "read_uv_settings",
    "split_source",
    "uv_tables",
]

SCRIPT = "lab.py"
LOCK = "lab.py.lock"

# As PEP 723 writes it.
_BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_NAME = re.compile(r"ml[-_.]remote(?![-\w.])", re.IGNORECASE)
_REQUIREMENT = re.compile(r"[-\w.]+\s*(?:\[[^]]*\]\s*)?@\s*(?P<source>\S+)")
_PINNED = re.compile(rb'(?m)^# dependencies = \["ml-remote @ git\+[^"\s]+@[0-9a-f]{40}"\]$')
_SOURCE = re.compile(
    rb"(?m)^The tool is pinned above to one commit\. Its source:\n"
    rb"[\w.:/@+~%\[\]-]+( at commit [0-9a-f]{40}\.)?$"
)
_NO_SOURCE = (
    b"No version of the tool is pinned above, so lab.local.toml must name the folder of its source."
)
_TEMPLATE_SCRIPTS = frozenset(
    {
        "7ced86846bb0a6e2b95d1a5157c4639266290d28714fb841d290fbcb62c43424",
        "46fe6b374ee04013560ef84fa79dcb7e4e12eb65e70ec58af00485f4b15fae6a",
    }
)
"""Hashes of the lab.py that the template makes or has made, without a pin."""
_HARMLESS = frozenset({"managed", "package", "dev-dependencies", "default-groups"})
"""Settings of uv that are about the project itself, never about a script."""
_LONGEST = 300
_AT_COMMIT = re.compile(r"git\+(?P<url>.+)@(?P<commit>[0-9a-f]{40})")


@dataclass(frozen=True, kw_only=True)
class Pin:
    """The tool that a project runs."""

    source: str
    """Where it comes from, in words: a URL with a commit, or a folder."""
    url: str | None
    """The repository, where it is pinned to a commit of one."""
    commit: str | None
    """The commit in full, where it is pinned to one."""
    folder: Path | None
    """The folder, where it is not pinned."""
    fingerprint: str
    """Changes when the project would run something else than before."""
    code: str | None = None
    """The text of lab.py, where it is not the one that the template makes."""
    settings: tuple[str, ...] = ()
    """What uv reads for it, in words: each file, with what it sets."""


def read_pin(root: Path, here: Path | None = None) -> Pin | None:
    """Return what lab.py in the folder of a project runs; None when it leaves that to others.

    `here` is the folder that one is in: settings of uv count from there on. Raises
    ConfigurationError when a file cannot be read, or names what cannot be shown.
    """
    content = _read(root / SCRIPT)
    if content is None:
        return None
    folder = _named_folder(root)
    source = str(folder) if folder else pinned_source(content, root / SCRIPT)
    if source is None:
        folder = _copied_folder(root)
        source = str(folder) if folder else None
    if source is None:
        return None
    if not source.isprintable():
        raise ConfigurationError(
            f"{root / SCRIPT} takes the tool from an address with control characters."
        )
    url, commit = split_source(source)
    settings = read_uv_settings(root, here)
    parts = [content, _read(root / LOCK) or b"", source.encode()]
    parts += [json.dumps(tables, sort_keys=True).encode() for tables in settings.values()]
    return Pin(
        source=in_words(source),
        url=url,
        commit=commit,
        folder=folder,
        fingerprint=sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest(),
        code=None if is_template_script(content) else content.decode("utf-8", errors="replace"),
        settings=tuple(f"{path}: {describe(tables)}" for path, tables in settings.items()),
    )


def pinned_source(content: bytes, script: Path) -> str | None:
    """Return where this text of lab.py takes the tool from, as it is written; None if nowhere.

    Raises ConfigurationError when its metadata cannot be read.
    """
    pinned = next(filter(_NAME.match, _dependencies(script, content)), None)
    if pinned is None:
        return None
    address = _REQUIREMENT.fullmatch(pinned)
    return address["source"] if address else pinned


def split_source(source: str) -> tuple[str | None, str | None]:
    """Return the URL and the commit of a source, None for both if it is in another form."""
    exact = _AT_COMMIT.fullmatch(source)
    return (exact["url"], exact["commit"]) if exact else (None, None)


def in_words(source: str) -> str:
    """Return a source for people to read."""
    url, commit = split_source(source)
    return source if url is None else f"{url} at commit {commit}"


def is_template_script(content: bytes) -> bool:
    """Return whether a text of lab.py is the template's but for the pin: it runs nothing else."""
    text = _PINNED.sub(b"# dependencies = []", content.replace(b"\r\n", b"\n"))
    return sha256(_SOURCE.sub(_NO_SOURCE, text)).hexdigest() in _TEMPLATE_SCRIPTS


def _read(path: Path) -> bytes | None:
    """Return the content of a file, None when it does not exist. Raises ConfigurationError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None


def read_uv_settings(root: Path, here: Path | None = None) -> dict[Path, dict[str, object]]:
    """Return the settings that uv finds for a project when one is in the folder `here`, by file.

    Where uv looks depends on its version: upwards from that folder, or from lab.py.
    """
    below = [one for one in (here, *here.parents) if one.is_relative_to(root)] if here else []
    found = {path: tables for folder in below for path, tables in _uv_settings_in(folder)}
    for folder in (root, *root.parents):
        nearest = dict(_uv_settings_in(folder))
        found |= nearest
        if nearest:
            break
    return found


def _uv_settings_in(folder: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    """Yield what uv would read in one folder, if that can change what it runs."""
    for name in ("uv.toml", "pyproject.toml"):
        path = folder / name
        try:
            content = _read(path)
        except ConfigurationError:  # uv cannot read it either
            continue
        if content is not None:
            tables = uv_tables(name, content)
            if tables:
                yield path, tables


def uv_tables(name: str, content: bytes) -> dict[str, object]:
    """Return the settings of uv in a file of this name, those left out that change no package."""
    try:
        tables: object = parse_toml(content.decode("utf-8", errors="replace"))
    except ValueError:
        return {}  # uv says what is wrong with it
    if name == "pyproject.toml":
        for key in ("tool", "uv"):
            tables = tables.get(key) if isinstance(tables, dict) else None
    if not isinstance(tables, dict):
        return {}
    plain = parse_json(json.dumps(tables, default=str))
    return {key: value for key, value in plain.items() if key not in _HARMLESS}


def describe(tables: dict[str, object]) -> str:
    """Return settings in one line, shortened."""
    text = ", ".join(f"{key} = {json.dumps(value)}" for key, value in sorted(tables.items()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _named_folder(root: Path) -> Path | None:
    """Return the folder of the tool that LAB_TOOL or lab.local.toml names; lab.py prefers it."""
    path: object = os.environ.get("LAB_TOOL")
    if path is None:
        tool = (read_toml(root / LOCAL_FILE) or {}).get("tool")
        path = tool.get("path") if isinstance(tool, dict) else None
    return root / typed_path(path) if isinstance(path, str) and path else None


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
        asked = parse_toml("\n".join(lines)).get("dependencies", [])
    except ValueError as error:
        raise ConfigurationError(f"The metadata in {script} is not valid TOML: {error}.") from None
    return [str(name) for name in asked] if isinstance(asked, list) else []
