"""The checks of `lab doctor` on the remote machine itself."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from .. import git
from ..errors import OTHER_FOLDER, LabError
from ..scripts import script
from ..ssh.client import Client
from ..transfer.git_here import is_another_project
from .findings import Finding, failed, ok, skipped

__all__ = [
    "check_clock",
    "check_disk",
    "check_folder",
    "check_git",
    "check_python",
    "check_quiet",
    "check_quota",
    "examine_machine",
]

_FREE_GIB = 8  # what making the environment with torch and CUDA takes, about
_OLDEST_PYTHON = (3, 11)
_SKEW_SECONDS = 60
_DIGITS = re.compile(r"[0-9]{1,15}")
_PYTHON = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){2}")


def examine_machine(client: Client, folder: str, root: Path) -> Iterator[Finding]:
    """Yield what the machine itself says; `folder` is the project's there, `root` here."""
    try:
        quiet = client.run("true", check=False)
        before = time.time()
        printed = client.run_script(script("facts"), folder).stdout
        after = time.time()
    except LabError as error:
        yield failed("commands", error)
        return
    yield check_quiet(quiet.stdout)
    facts = dict(re.findall(r"^lab-fact (\w+) ?(.*)$", printed, re.MULTILINE))
    yield check_folder(folder, foreign="foreign" in facts, roots=facts.get("roots", ""), here=root)
    yield check_python(facts.get("python", ""))
    yield check_git(facts.get("git", ""))
    needed = 0 if "made" in facts else _FREE_GIB
    yield check_disk(facts.get("free", ""), needed=needed)
    yield check_quota(facts.get("quota", ""), needed=needed)
    yield check_clock(facts.get("time", ""), here=(before + after) / 2)


def check_quiet(printed: str) -> Finding:
    """Whether the login shell prints nothing of its own, as scp, rsync and VS Code need it."""
    if not printed:
        return ok("shell", "quiet")
    greeting = repr(printed.splitlines()[0])
    return Finding(
        name="shell",
        state="failed",
        detail=f"a file such as ~/.bashrc prints {greeting} at every login; "
        "file copies and VS Code break on that",
        quoted=(greeting,),
        remedy="There, put above that line: case $- in *i*) ;; *) return ;; esac",
    )


def check_folder(folder: str, *, foreign: bool, roots: str, here: Path) -> Finding:
    """Whether the folder there is yours and holds this project.

    `roots` are the first commits of the repository in it; `here` is the project on this computer.
    """
    if foreign:
        return Finding(
            name="folder",
            state="failed",
            detail=f"{folder} belongs to another user, so lab runs nothing in it",
            remedy=OTHER_FOLDER,
        )
    if is_another_project(here, re.findall(r"\b[0-9a-f]{40,64}\b", roots)):
        return Finding(
            name="folder",
            state="failed",
            detail=f"another project is in {folder}",
            remedy=OTHER_FOLDER,
        )
    return ok("folder", "yours" if roots.strip() else "no repository there yet")


def check_python(version: str) -> Finding:
    """Whether the machine has a Python; the environment may bring its own."""
    if not version:
        return Finding(
            name="python",
            state="warning",
            detail="no python3; only conda or uv could make the environment",
            remedy="lab setup",
        )
    if not _PYTHON.fullmatch(version):
        return skipped("python", "its version cannot be read")
    if tuple(map(int, version.split("."))) < _OLDEST_PYTHON:
        return Finding(
            name="python",
            state="warning",
            detail=f"{version}; the environment needs 3.11 or newer, which conda or uv could bring",
            remedy="lab setup",
        )
    return ok("python", version)


def check_git(version: str) -> Finding:
    """Whether the machine has git, which commits are pushed to."""
    if not version:
        return Finding(
            name="git",
            state="failed",
            detail="not installed; commits cannot be pushed there",
            remedy="There: sudo apt install git (or ask whoever runs the machine)",
        )
    number = version.removeprefix("git version ")
    if git.is_old(number):
        return Finding(
            name="git",
            state="failed",
            detail=f"{number} is too old; commits need {git.oldest()} or newer there",
            remedy="There: sudo apt install git; without an administrator: conda install git",
        )
    return ok("git", number)


def check_disk(free_kib: str, *, needed: int = _FREE_GIB) -> Finding:
    """Whether the project's disk has room; `free_kib` is in KiB, `needed` in GiB."""
    if not _DIGITS.fullmatch(free_kib):
        return skipped("disk", "df says nothing")
    free = int(free_kib) / 1024**2
    if free < needed:
        return Finding(
            name="disk",
            state="failed",
            detail=f"{free:.1f} GiB are free for the project; about {needed} are needed",
            remedy="Make room there, or name a larger disk in lab.toml: [remote] folder",
        )
    return ok("disk", f"{free:.0f} GiB free")


def check_quota(line: str, *, needed: int = _FREE_GIB) -> Finding:
    """Whether the quota leaves room; `line` is "used soft hard" in KiB, empty without a quota."""
    numbers = re.fullmatch(r"([0-9]{1,15})(\*?) ([0-9]{1,15}) ([0-9]{1,15})", line)
    if numbers is None:
        return ok("quota", "none")
    used, over, soft, hard = int(numbers[1]), numbers[2], int(numbers[3]), int(numbers[4])
    limit = min(value for value in (soft or hard, hard or soft))
    left = (limit - used) / 1024**2
    if over or (limit and left < needed):
        return Finding(
            name="quota",
            state="failed",
            detail=f"{max(left, 0):.1f} GiB of your quota are left; about {needed} are needed",
            remedy="Make room there; what takes it: du -xh ~ | sort -h | tail",
        )
    return ok("quota", f"{left:.0f} GiB left" if limit else "none")


def check_clock(there: str, *, here: float) -> Finding:
    """Whether both clocks agree; `there` and `here` are seconds since 1970."""
    if not _DIGITS.fullmatch(there):
        return skipped("clock", "date says nothing")
    skew = int(there) - here
    if abs(skew) > _SKEW_SECONDS:
        direction = "ahead" if skew > 0 else "behind"
        return Finding(
            name="clock",
            state="failed",
            detail=f"the machine's clock is {abs(skew):.0f} s {direction}; its files will seem too "
            "new or too old",
            remedy="There: sudo timedatectl set-ntp true",
        )
    return ok("clock", "agrees with this computer's")
