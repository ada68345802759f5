"""The checks of `lab doctor` on the remote machine itself."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping

from .. import git
from ..errors import CommandNotRunError, LabError, UnreachableError
from ..kernels_there import AT_LOGOUT
from ..project import Project
from ..scripts import script
from ..ssh.client import Client
from ..ssh.not_run import command_not_run
from ..transfer.rsync import said_here
from ..transfer.sftp import PATIENCE as PATIENCE_OF_SFTP
from ..transfer.sftp import offers_sftp
from .findings import Finding, failed, ok, skipped, unknown
from .folder_checks import (
    check_data,
    check_environment,
    check_folder,
    check_outside,
    check_slurm,
    check_writing,
)
from .tool_checks import check_rsync, check_tools

__all__ = [
    "check_clock",
    "check_disk",
    "check_git",
    "check_logout",
    "check_python",
    "check_quiet",
    "check_quota",
    "check_sftp",
    "examine_machine",
]

_FREE_GIB = 8  # what making the environment with torch and CUDA takes, about
_OLDEST_PYTHON = (3, 11)
_SKEW_SECONDS = 60
SLOW = 4.0  # seconds for a command that does nothing
PATIENCE = 60.0  # seconds for a login shell to run what it is given
_DIGITS = re.compile(r"[0-9]{1,15}")
_PYTHON = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){2}")
_GIT = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}(?=[ .]|$)")


def examine_machine(client: Client, project: Project) -> Iterator[Finding]:
    """Yield what the machine itself says."""
    before = time.time()
    try:
        printed = client.run_script(script("facts"), project.settings.folder, timeout=PATIENCE)
    except (CommandNotRunError, UnreachableError) as error:
        # It let us in a moment ago: what does not answer is the login shell.
        swallowed = isinstance(error, CommandNotRunError)
        yield failed("shell", error if swallowed else command_not_run(client, None))
        yield unknown("machine", "not checked, as it runs no command")
        return
    except LabError as error:
        yield failed("commands", error)
        yield unknown("machine", "not checked, as it gives no answer")
        return
    after = time.time()
    try:
        began = time.monotonic()
        noise = client.noise()
        yield check_quiet(noise, seconds=time.monotonic() - began)
    except LabError as error:
        yield failed("shell", error)
    sftp = check_sftp(client)
    yield sftp
    found = re.findall(r"^lab-fact (\w+) ?(.*)$", printed.stdout, re.MULTILINE)
    facts = dict(found)
    outside = [value for name, value in found if name == "outside"]
    yield from _about_project(facts, outside, project)
    yield check_python(facts.get("python", ""))
    yield check_git(facts.get("git", ""))
    yield check_rsync(facts.get("rsync"), said_here(), sftp=sftp.state)
    yield check_tools(facts.get("lacking"))
    needed = 0 if facts.get("environment") in ("made", "older") else _FREE_GIB
    yield check_disk(facts.get("free", ""), needed=needed)
    yield check_quota(facts.get("quota"), needed=needed)
    yield check_writing("writing", facts.get("writing", ""), runs_programs=needed > 0)
    yield check_writing("temporary", facts.get("temporary", ""), runs_programs=False)
    yield check_clock(facts.get("time", ""), before=before, after=after)
    yield check_logout(facts.get("logout"))


def _about_project(
    facts: Mapping[str, str], outside: list[str], project: Project
) -> Iterator[Finding]:
    """Yield what there is to say about the project's folder there."""
    settings = project.settings
    yield check_folder(
        settings.folder,
        facts.get("folder", ""),
        repository=facts.get("repository", ""),
        branch=facts.get("branch", ""),
        here=project.root,
    )
    yield check_environment(facts.get("environment"), folder=facts.get("folder", ""))
    yield check_data(
        facts.get("data"), folder=facts.get("folder", ""), is_made=bool(settings.data_folder)
    )
    yield check_outside(outside, folder=facts.get("folder", ""))
    yield check_slurm(settings.slurm, sbatch=facts.get("slurm"))


def check_sftp(client: Client) -> Finding:
    """Whether files can be copied by sftp, which VS Code and `lab` use where there is no rsync."""
    try:
        is_offered = offers_sftp(client)
    except subprocess.TimeoutExpired:
        return unknown("sftp", f"no answer within {PATIENCE_OF_SFTP:g} seconds")
    except LabError as error:
        return failed("sftp", error)
    if is_offered:
        return ok("sftp", "works")
    return Finding(
        name="sftp",
        state="failed",
        detail="the SSH server copies no files by sftp, which is used where rsync is missing",
        remedy="Ask whoever runs the machine for a line in sshd_config: "
        "Subsystem sftp internal-sftp",
    )


def check_quiet(printed: str, *, seconds: float = 0) -> Finding:
    """Whether the login shell prints nothing of its own, as scp, rsync and VS Code need it.

    `seconds` is how long a command took that does nothing, over a connection that was open.
    """
    if not printed and seconds > SLOW:
        return Finding(
            name="shell",
            state="warning",
            detail=f"quiet, but {seconds:.0f} s pass before a command begins, and lab runs many",
            remedy="See what takes the time in the files that your shell reads at each login, such "
            "as ~/.bashrc, and how slow the network is: ping",
        )
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
        return unknown("python", "its version cannot be read")
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
    if not _GIT.match(number):
        return unknown("git", "its version cannot be read")
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
        return unknown("disk", "df does not say how much is free")
    free = int(free_kib) / 1024**2
    if free < needed:
        return Finding(
            name="disk",
            state="failed",
            detail=f"{free:.1f} GiB are free for the project; about {needed} are needed",
            remedy="Make room there, or name a larger disk in lab.toml: [remote] folder",
        )
    return ok("disk", f"{free:.0f} GiB free")


def check_quota(line: str | None, *, needed: int = _FREE_GIB) -> Finding:
    """Whether the quota leaves room; `line` is "used soft hard" in KiB, empty without a quota.

    It is "none" where the machine has no program that could tell.
    """
    if line is None:
        return unknown("quota", "the machine does not say")
    if line == "none":
        return skipped("quota", "the machine has no program that knows one")
    if not line:
        return ok("quota", "none")
    numbers = re.fullmatch(r"([0-9]{1,15})(\*?) ([0-9]{1,15}) ([0-9]{1,15})", line)
    if numbers is None:
        return unknown("quota", "what quota says cannot be read")
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


def check_clock(there: str, *, before: float, after: float) -> Finding:
    """Whether both clocks agree; `there` was asked for between `before` and `after`.

    All are seconds since 1970.
    """
    if not _DIGITS.fullmatch(there):
        return unknown("clock", "date does not say what time it is there")
    skew = int(there) - min(max(int(there), before), after)
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


def check_logout(word: str | None) -> Finding:
    """Whether what runs there may outlive the last connection; `word` is that of logout.sh.

    It is empty where there is no systemd-logind.
    """
    if word is None:
        return unknown("logout", "the machine does not say what it ends when you log out")
    if word == "":
        return skipped("logout", "no systemd-logind, which could end what you leave running")
    if word == "keeps":
        return ok("logout", "what you leave running continues")
    if word not in AT_LOGOUT:
        return unknown("logout", "what the machine says of it cannot be read")
    return Finding(
        name="logout",
        state="warning",
        detail=f"when your last connection ends, the machine {AT_LOGOUT[word]}",
        remedy="Ask whoever runs the machine to name you in logind.conf: KillExcludeUsers=",
    )
