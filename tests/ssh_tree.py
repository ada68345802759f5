"""SSH directories for tests: laid out from text, pictured, and asked about with the real ssh."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ml_remote.ssh.address import parse_destination, parse_jump
from ml_remote.ssh.entry import Entry

__all__ = ["OURS", "entry", "lay_out", "meaning", "picture"]

# Our own directory, by its name in the SSH directory.
OURS = "ml-remote.d"

Picture = dict[str, tuple[str, int, bytes]]


def lay_out(directory: Path, files: Mapping[str, str | bytes]) -> None:
    """Write `files`, by their names in `directory`; in a text `~ssh/` stands for the directory."""
    directory.mkdir(mode=0o700, exist_ok=True)
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else filled(content, directory))
        path.chmod(0o600)


def filled(text: str, directory: Path) -> bytes:
    """Return a text in which `~ssh/` stands for `directory`, as bytes."""
    return text.replace("~ssh/", f"{directory}/").encode()


def picture(directory: Path) -> Picture:
    """Return all that is below `directory`: kind, mode and content (or aim of a link) by name."""
    found: Picture = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = ("link", 0, os.fsencode(path.readlink()))
        elif path.is_file():
            found[name] = ("file", mode, path.read_bytes())
        else:
            found[name] = ("directory" if path.is_dir() else "other", mode, b"")
    return found


def entry(
    destination: str = "ada@gpu.example.com",
    *,
    alias: str = "gpu",
    jump: str = "",
    identity: str | None = None,
) -> Entry:
    """Return the entry that these answers mean."""
    return Entry(
        alias=alias,
        destination=parse_destination(destination),
        jump=parse_jump(jump),
        identity=None if identity is None else Path(identity),
    )


def meaning(alias: str, *, directory: Path) -> dict[str, str]:
    """Return what the real ssh makes of `alias`: the first value by keyword.

    Raises AssertionError, with what ssh said, when it cannot read the configuration.
    """
    done = subprocess.run(
        ["ssh", "-G", "-F", str(directory / "config"), "--", alias],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    options: dict[str, str] = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        options.setdefault(keyword, value)
    return options
