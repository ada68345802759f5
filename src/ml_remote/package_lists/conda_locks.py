"""conda's own lock, `conda-<platform>.lock`: written by a setup with conda, kept by the person.

The machine cannot commit it: a tracked file that it changed would block the next push. So it comes
here. It is text of the machine, and others install what it names: only what a lock consists of is
taken.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import LabError
from ..files import Change, apply_changes, read_bytes
from ..machine import Machine
from ..scripts import run_script
from ..ui.console import Console
from .paths import list_path

__all__ = ["fetch_conda_lock", "keep_conda_lock", "keep_lock_from_here"]

_NAME = re.compile(
    r"conda-(?:linux-(?:64|aarch64|ppc64le)|osx-(?:64|arm64)|win-(?:64|arm64))\.lock"
)
_LINE = re.compile(
    r"# [ -~]{0,200}|#[0-9a-f]{0,64}|@EXPLICIT|(?:https?|file)://[!-~]{1,1000}#[0-9a-f]{0,64}"
)
_MOST = 1_000_000
_CARD, _MARK = "# card: ", "@EXPLICIT"


def fetch_conda_lock(root: Path, machine: Machine, console: Console) -> None:
    """Fetch the conda lock of a setup, if there is a new one, for the person to commit.

    Raises UnreachableError, and MissingFolderError when the project is gone.
    """
    name, _, text = run_script(machine, "read-conda-lock").stdout.partition("\n")
    if name:
        keep_conda_lock(root, name.strip(), text, console)


def keep_lock_from_here(root: Path, console: Console) -> None:
    """Store the conda lock of a setup on this computer, for the person to commit."""
    for path in sorted((root / ".lab").glob("conda-*.lock")):
        data = read_bytes(path) or b""
        keep_conda_lock(root, path.name, data.decode("utf-8", "replace"), console)


def keep_conda_lock(root: Path, name: str, text: str, console: Console) -> None:
    """Write a lock into the project, if it says something new, and say how to commit it.

    One for the other kind of machine, with a card or without, is left alone.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    is_lock = _NAME.fullmatch(name) and _MARK in lines and len(text) <= _MOST
    if not is_lock or not all(map(_LINE.fullmatch, lines)):
        console.warn("The machine's conda lock is not valid, so it was not used.")
        return
    try:
        path = list_path(root, name)
    except LabError as error:
        console.warn(error.message)
        return
    before = read_bytes(path)
    old = [] if before is None else before.decode("utf-8", "replace").splitlines()
    if set(old) == set(lines):
        return
    if before is not None and bool(_card(old)) != bool(_card(lines)):
        kind = "with a card" if _card(old) else "without a card"
        console.say(f"{name} is for machines {kind}, so it was kept.")
        return
    new = "".join(f"{line}\n" for line in lines).encode()
    try:
        apply_changes([Change(path=path, before=before, after=new)])
    except (OSError, LabError) as error:
        console.warn(f"{name} was not written: {error}")
        return
    console.say(
        f"Wrote {name}, so that everyone with conda gets the same versions. To keep it: "
        f'git add {name}; git commit -m "Lock conda\'s versions" {name}'
    )


def _card(lines: list[str]) -> str:
    """Return the version of CUDA that a lock is for; empty: none."""
    return next((line[len(_CARD) :].strip() for line in lines if line.startswith(_CARD)), "")
