"""The files that `lab init` proposes, as texts."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import tomli_w

from ..editor.json_with_comments import read_object
from ..files import read_bytes
from ..settings import FORMAT
from ..tables import LOCAL_FILE
from ..transfer.local_repository import is_tracked
from ..version import Version
from .repository import Repository, is_ignored

__all__ = ["IGNORED", "ignoring", "lab_toml", "local_toml", "missing_lines", "script", "vscode"]

IGNORED = {
    ".venv": ".venv",
    ".lab": ".lab",
    LOCAL_FILE: LOCAL_FILE,
    "outputs": "/outputs",
    "x.code-workspace": "*.code-workspace",
}
"""What git should ignore, and the pattern for each: the last is a name that stands for its kind."""
_NO_PIN = "# dependencies = []\n"
_NO_SOURCE = (
    "No version of the tool is pinned above, so lab.local.toml must name the folder of its "
    "source.\n"
)
_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|//[^\n]*\n|/\*.*?\*/)*\{", re.DOTALL)
"""The beginning of an object, with the comments in front of it."""
_INTERPRETER = "python.defaultInterpreterPath"


def lab_toml(found: Repository, *, alias: str, folder: str, package: str | None = None) -> str:
    """Return the project's settings."""
    project = f"[project]\npackage = {_quoted(package)}\n\n" if package else ""
    source = f"from = {_quoted(found.source)}  # the list of packages\n" if found.source else ""
    return (
        "# Settings of this project for the `lab` command. Nothing here is personal: your user\n"
        "# name on the machine, its address and your key are in your own SSH configuration.\n"
        f"# Settings for you alone go into {LOCAL_FILE}, which overrides this file.\n"
        f"format = {FORMAT}\n\n"
        f"{project}"
        f"[remote]\nalias = {_quoted(alias)}  # the name of the machine: `ssh {alias}`\n"
        f"folder = {_quoted(folder)}  # its path on the machine, from your home directory\n\n"
        f"[environment]\npython = {_quoted(found.python)}\n"
        f"{source}"
    )


def _quoted(text: str) -> str:
    """Return a text as TOML writes it."""
    return tomli_w.dumps({"text": text}).removeprefix("text = ").rstrip("\n")


def script(version: Version) -> str:
    """Return lab.py, pinned to the commit of the tool that runs, if it is known."""
    text = files(__package__).joinpath("lab.py.txt").read_text(encoding="utf-8")
    if version.url is None or version.commit is None:
        return text
    shown = f"{version.url} at commit {version.commit}."
    if re.match(r"https://[^/]*(github|gitlab)", version.url):
        shown = f"{version.url}/tree/{version.commit}"
    pin = f'# dependencies = ["ml-remote @ git+{version.url}@{version.commit}"]\n'
    source = f"The tool is pinned above to one commit. Its source:\n{shown}\n"
    return text.replace(_NO_PIN, pin, 1).replace(_NO_SOURCE, source, 1)


def local_toml(folder: Path) -> str:
    """Return the personal settings that name the folder of the tool, for a script without a pin."""
    path = _quoted(str(folder))
    return f"# Settings for you alone: git ignores this file.\n[tool]\npath = {path}\n"


def missing_lines(root: Path) -> list[str]:
    """Return the patterns of what git should ignore, and neither ignores nor tracks."""
    return [
        pattern
        for name, pattern in IGNORED.items()
        if not is_ignored(root, name) and not is_tracked(root, name)
    ]


def ignoring(before: bytes | None, lines: list[str]) -> bytes:
    """Return a file of patterns with these at its end, in the line breaks that it has."""
    text = before or b""
    end = _line_break(text)
    head = b"# What `lab` keeps beside the project, here and on the machine"
    gap = b"" if not text else end if text.endswith(b"\n") else end + end
    return text + gap + end.join([head, *(line.encode() for line in lines), b""])


def vscode(path: Path) -> bytes | None:
    """Return .vscode/settings.json with the interpreter of the environment.

    None if it names one already. Raises ConfigurationError if it cannot be read.
    """
    line = f'"{_INTERPRETER}": "${{workspaceFolder}}/.venv/bin/python"'
    before = read_bytes(path)
    if before is None:
        return f"{{\n  {line}\n}}\n".encode()
    found = read_object(path, hint="")
    start = _OBJECT.match(before)
    if _INTERPRETER in found or start is None:
        return None
    comma = b"," if found else b""
    return start[0] + _line_break(before) + b"  " + line.encode() + comma + before[start.end() :]


def _line_break(text: bytes) -> bytes:
    """Return what a file ends its lines with."""
    return b"\r\n" if b"\r\n" in text else b"\n"
