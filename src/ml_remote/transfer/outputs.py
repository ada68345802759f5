"""What lies below `outputs/` on the machine, and how it compares to what is here."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import answers
from ..errors import RemoteCommandError
from ..machine import Machine
from ..scripts import ask, script

__all__ = ["Comparison", "Listing", "RemoteFile", "compare", "list_outputs"]

_SUMS_AT_ONCE = 500
_LATEST = 10**11  # seconds since 1970 that any file system can keep


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file below `outputs/` on the machine."""

    name: str
    """Relative to `outputs/`, with slashes."""
    size: int
    """In bytes."""
    time: int
    """When it was changed last, in seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What lies below `outputs/` on the machine."""

    folder: str
    """The absolute path of `outputs/` there; empty where there is none."""
    files: tuple[RemoteFile, ...]
    rsync: str
    """What rsync says of its version there; empty where there is none."""
    unnamed: int
    """How many files were left out because there is a line break in their names."""
    links: int
    """How many symbolic links were left out: what they lead to may lie anywhere."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is there, compared to what is here."""

    missing: tuple[RemoteFile, ...]
    grown: tuple[RemoteFile, ...]
    """Files that begin with all that is here under their name."""
    differing: tuple[RemoteFile, ...]
    same: int
    """How many files are the same."""


def list_outputs(machine: Machine, *, only: str = "") -> Listing:
    """Return what lies below `outputs/` there, or below `outputs/<only>`.

    Raises MissingFolderError when the project is not there, RemoteCommandError when a name cannot
    be used here.
    """
    result = ask(machine, "list-outputs", only, timeout=600)
    lines = [line.partition(" ") for line in result.stdout.split("\n")]
    facts = {word: text for word, _, text in lines}
    files = [_parse(text, machine) for word, _, text in lines if word == "file"]
    return Listing(
        folder=answers.folder(facts.get("folder"), asked=f"{machine.folder}/outputs")
        if files
        else "",
        files=tuple(sorted(files, key=lambda file: file.name)),
        rsync=facts.get("rsync", ""),
        unnamed=sum(word == "unnamed" for word, _, _ in lines),
        links=sum(word == "link" for word, _, _ in lines),
    )


def _parse(text: str, machine: Machine) -> RemoteFile:
    """Return the file of one line of the listing; it must stay below `outputs/` here."""
    size, time, path = (*text.split(" ", 2), "", "")[:3]
    name = posixpath.normpath(path)
    is_odd = os.name == "nt" and re.search(r'[\\:<>"|?*]', name)
    if not path or name.startswith(("/", "..")) or is_odd:
        raise RemoteCommandError(
            f"{machine.alias} has a file in outputs/ whose name cannot be used here: {name}",
            hint="Rename it there",
        )
    seconds = answers.number(time, least=-_LATEST, most=_LATEST)
    return RemoteFile(name=name, size=answers.number(size), time=seconds)


def compare(machine: Machine, listing: Listing, outputs: Path) -> Comparison:
    """Compare what is there with the folder `outputs`: by size and time, else by content."""
    missing, differing, unsure = [], [], []
    for file in listing.files:
        path = outputs / file.name
        if not os.path.lexists(path):
            missing.append(file)
        elif not path.is_file() or path.stat().st_size > file.size:
            differing.append(file)
        elif (path.stat().st_size, int(path.stat().st_mtime)) != (file.size, file.time):
            unsure.append(file)
    grown = []
    for start in range(0, len(unsure), _SUMS_AT_ONCE):
        some = unsure[start : start + _SUMS_AT_ONCE]
        sums = _sums_there(machine, some, outputs)
        for file, expected in zip(some, sums, strict=True):
            path = outputs / file.name
            if _sum(path) != expected:
                differing.append(file)
            elif path.stat().st_size < file.size:
                grown.append(file)
    return Comparison(
        missing=tuple(missing),
        grown=tuple(grown),
        differing=tuple(sorted(differing, key=lambda file: file.name)),
        same=len(listing.files) - len(missing) - len(grown) - len(differing),
    )


def _sums_there(machine: Machine, files: Sequence[RemoteFile], outputs: Path) -> list[str]:
    """Return the SHA-256 of each file there, of as many bytes as it has here.

    Where the machine cannot tell, the sums are empty, and equal to none.
    """
    pairs = [(str((outputs / file.name).stat().st_size), file.name) for file in files]
    words = [word for pair in pairs for word in pair]
    result = machine.client.run_script(
        script("sums"), machine.folder, *words, timeout=600, check=False
    )
    found = re.findall(r"^([0-9a-f]{64})\b", result.stdout, re.MULTILINE)
    return found if len(found) == len(files) else [""] * len(files)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
