"""The checks of `lab doctor` about the project's folder on the machine, and what is in it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..errors import OTHER_FOLDER, LabError
from ..transfer.local_repository import is_another_project
from .findings import Finding, ok, skipped, unknown

__all__ = [
    "check_data",
    "check_environment",
    "check_folder",
    "check_outside",
    "check_writing",
]

_NO_FOLDER = "the project is not on the machine"
_NOT_ENTERED = ("none", "foreign", "linked", "closed")
_ENVIRONMENT = {
    "none": "there is no .venv",
    "dangling": ".venv points to a folder that is gone",
    "no-python": ".venv has no Python",
    "incomplete": "a change to it was interrupted",
    "broken": "its Python does not start",
}
"""Why there is no environment to work in, by what the machine says of it."""


def check_folder(folder: str, state: str, *, repository: str, branch: str, here: Path) -> Finding:
    """Check that the folder on the machine is yours and contains this project.

    `repository` is what the machine says of the repository in it: its first commits, or a word.
    """
    told = {
        "none": (f"there is no {folder} on the machine", "lab up"),
        "foreign": (f"{folder} belongs to another user, so lab runs nothing in it", OTHER_FOLDER),
        "linked": (
            f".lab in {folder}, or something in it, is a link, which lab does not follow",
            "Remove that link",
        ),
        "closed": (f"{folder} exists, but you may not enter it", OTHER_FOLDER),
    }
    if state in told:
        detail, remedy = told[state]
        return Finding(name="folder", state="failed", detail=detail, remedy=remedy)
    if state != "yours":
        return unknown("folder", "the machine did not say who owns it")
    if repository == "none" or (branch and not repository.strip()):
        return ok("folder", "yours; nothing is committed in it yet")
    if repository == "shallow":
        return ok("folder", "yours; its history is incomplete, so it is assumed to be this project")
    first_commits = re.findall(r"\b[0-9a-f]{40,64}\b", repository)
    if not first_commits:
        return unknown("folder", "git cannot read the repository in it", remedy="lab push")
    try:
        is_another = is_another_project(here, first_commits)
    except LabError as error:  # no git here, which another check tells
        return unknown("folder", error.message)
    if is_another:
        return Finding(
            name="folder",
            state="failed",
            detail=f"another project is in {folder}",
            remedy=OTHER_FOLDER,
        )
    return ok("folder", "yours")


def check_environment(state: str | None, *, folder: str) -> Finding:
    """Check that the environment exists and its Python starts; `state` comes from the machine."""
    if folder in _NOT_ENTERED:
        return skipped(
            "environment", _NO_FOLDER if folder == "none" else "nothing is run in that folder"
        )
    if state in _ENVIRONMENT:
        return Finding(
            name="environment", state="failed", detail=_ENVIRONMENT[state], remedy="lab setup"
        )
    if state == "older":
        return Finding(
            name="environment",
            state="warning",
            detail="the lists of packages were changed after it was made",
            remedy="lab setup",
        )
    if state == "made":
        return ok("environment", "its Python starts")
    return unknown("environment", "the machine did not report its state")


def check_outside(outside: Sequence[str], *, folder: str) -> Finding:
    """Check that no program runs in the folder that `lab` did not start, and so cannot stop.

    `outside` are the numbers of their processes, and at the end the word `done`.
    """
    if folder in _NOT_ENTERED:
        return skipped(
            "programs", _NO_FOLDER if folder == "none" else "nothing is run in that folder"
        )
    *found, last = outside or [""]
    if last != "done":
        return unknown("programs", "the machine did not say what runs in the folder")
    numbers = [number for number in found if re.fullmatch("[0-9]{1,10}", number)]
    if not numbers:
        return ok("programs", "lab started everything that runs in the folder")
    named = ", ".join(numbers[:5]) + (", ..." if len(numbers) > 5 else "")
    return Finding(
        name="programs",
        state="failed",
        detail=f"a Python program that lab did not start runs in the folder (process {named}); "
        "lab neither shows nor stops it, and it may use the card and memory",
        remedy=f"If you do not need it, end it on the machine: kill {shlex.join(numbers[:5])}",
    )


def check_data(state: str | None, *, folder: str, is_made: bool = False) -> Finding:
    """Check that `data` on the machine leads to a folder, on a disk with free space.

    `state` is how many KiB are free on its disk, or a word; `is_made` whether `lab` makes the
    folder that it leads to.
    """
    if folder in _NOT_ENTERED:
        return skipped("data", _NO_FOLDER if folder == "none" else "nothing is run in that folder")
    if state == "none":
        return ok("data", "there is none yet")
    if state == "dangling":
        return Finding(
            name="data",
            state="failed",
            detail="data points to a folder that is gone, perhaps because a scratch disk was "
            "cleaned",
            remedy="lab data push"
            if is_made
            else "Remove that link on the machine, or name an existing folder in [data]",
        )
    if state is None or not re.fullmatch("[0-9]{1,15}", state):
        return unknown("data", "the machine did not say how much of its disk is free")
    free = int(state) / 1024**2
    if free < 1:
        return Finding(
            name="data",
            state="warning",
            detail=f"{free:.1f} GiB are free on the disk of data/",
            remedy="Free disk space there, or name another disk: folder in [data]",
        )
    return ok("data", f"{free:.0f} GiB free on its disk")


def check_writing(name: str, state: str, *, runs_programs: bool) -> Finding:
    """Check that a file can be written, and run, in the project's or the temporary folder."""
    where = "in the project's folder" if name == "writing" else "in the folder for temporary files"
    if state == "full":
        return Finding(
            name=name,
            state="failed",
            detail=f"no file can be written {where}: the disk or a quota is full, or it is "
            "read-only",
            remedy="Free disk space there, or ask whoever runs the machine",
        )
    if state == "noexec" and runs_programs:
        return Finding(
            name=name,
            state="failed",
            detail=f"programs {where} cannot be started: the disk is mounted with noexec",
            remedy="Name a folder on another disk in lab.local.toml: [environment] folder",
        )
    if state == "missing":
        return Finding(
            name=name,
            state="failed",
            detail="TMPDIR on the machine names a folder that does not exist",
            remedy="Create it on the machine, or remove TMPDIR from your shell's start-up files",
        )
    if state == "noexec" and name == "temporary":
        return Finding(
            name=name,
            state="warning",
            detail=f"programs {where} cannot be started, because the disk is mounted with noexec: "
            "torch.compile and packages that are built there fail",
            remedy="On the machine, set another folder in a file that your shell reads at each "
            "login (~/.bashrc, ~/.zshenv): export TMPDIR=$HOME/tmp",
        )
    if state in ("works", "noexec"):
        return ok(name, f"files can be written {where}")
    return unknown(name, f"the machine did not say if files can be written {where}")
