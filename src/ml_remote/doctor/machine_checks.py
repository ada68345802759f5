"""The checks of `lab doctor` on the remote machine itself."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from .. import git
from ..errors import CommandNotRunError, LabError, UnreachableError
from ..lasting_kernels import AT_LOGOUT
from ..machine import Machine
from ..package_lists.local import digest_here
from ..project import Project
from ..quotas import parse_quotas
from ..scripts import script
from ..ssh.client import Client
from ..ssh.not_run import command_not_run
from ..transfer.rsync import said_here
from ..transfer.sftp import PATIENCE as PATIENCE_OF_SFTP
from ..transfer.sftp import offers_sftp
from .cluster_checks import examine_cluster
from .findings import Finding, failed, ok, skipped, unknown
from .folder_checks import (
    check_data,
    check_environment,
    check_folder,
    check_outside,
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
# A line that is neither a heading nor says that there is no quota.
_SAYS_MORE = re.compile(r"quota\t\w+\t(?!Disk quotas for |\s+Filesystem |\s*$)")
_DIGITS = re.compile(r"[0-9]{1,15}")
_PYTHON = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){2}")
_GIT = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}(?=[ .]|$)")


def examine_machine(client: Client, project: Project) -> Iterator[Finding]:
    """Yield what the machine itself says."""
    before = time.time()
    try:
        printed = client.run_script(
            script("doctor-facts"), project.settings.folder, timeout=PATIENCE
        )
    except (CommandNotRunError, UnreachableError) as error:
        # It let us in a moment ago: what does not answer is the login shell.
        swallowed = isinstance(error, CommandNotRunError)
        yield failed("shell", error if swallowed else command_not_run(client, None))
        yield unknown("machine", "not checked, because it runs no command")
        return
    except LabError as error:
        yield failed("commands", error)
        yield unknown("machine", "not checked, because it does not answer")
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
    machine = Machine(client=client, folder=project.settings.folder)
    yield from examine_cluster(machine, project, has_slurm=bool(facts.get("slurm")))
    yield check_python(facts.get("python", ""))
    yield check_git(facts.get("git", ""))
    yield check_rsync(facts.get("rsync"), said_here(), sftp=sftp.state)
    yield check_tools(facts.get("lacking"))
    needed = 0 if facts.get("environment") in ("made", "older") else _FREE_GIB
    yield check_disk(facts.get("free", ""), needed=needed)
    yield check_quota(facts.get("quota"), printed.stdout, needed=needed)
    yield check_writing("writing", facts.get("writing", ""), runs_programs=needed > 0)
    yield check_writing("temporary", facts.get("temporary", ""), runs_programs=False)
    yield check_clock(facts.get("time", ""), before=before, after=after)
    yield check_logout(facts.get("logout"))


def _environment_state(facts: Mapping[str, str], root: Path) -> str | None:
    """Return the machine's word for the environment.

    A push writes lists anew that it was made from: then only their times are newer.
    """
    state = facts.get("environment")
    if state != "older":
        return state
    try:
        return "made" if facts.get("lists") == digest_here(root) else state
    except LabError:  # told by what reads the lists
        return state


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
    state = _environment_state(facts, project.root)
    yield check_environment(state, folder=facts.get("folder", ""))
    yield check_data(
        facts.get("data"), folder=facts.get("folder", ""), is_made=bool(settings.data_folder)
    )
    yield check_outside(outside, folder=facts.get("folder", ""))


def check_sftp(client: Client) -> Finding:
    """Check that sftp works, which VS Code uses, and `lab` where rsync is missing."""
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
        detail="the SSH server offers no sftp, which lab uses if rsync is missing",
        remedy="Ask whoever runs the machine for a line in sshd_config: "
        "Subsystem sftp internal-sftp",
    )


def check_quiet(printed: str, *, seconds: float = 0) -> Finding:
    """Check that the login shell prints nothing itself, as scp, rsync and VS Code require.

    `seconds` is how long a command took that does nothing, over a connection that was open.
    """
    if not printed and seconds > SLOW:
        return Finding(
            name="shell",
            state="warning",
            detail=f"quiet, but a command takes {seconds:.0f} s to start, and lab runs many",
            remedy="Look for slow lines in the files your shell reads at login, such as ~/.bashrc, "
            "and check the network with ping",
        )
    if not printed:
        return ok("shell", "quiet")
    greeting = repr(printed.splitlines()[0])
    return Finding(
        name="shell",
        state="failed",
        detail=f"a file such as ~/.bashrc prints {greeting} at every login; this breaks file "
        "copies and VS Code",
        quoted=(greeting,),
        remedy="On the machine, put above that line: case $- in *i*) ;; *) return ;; esac",
    )


def check_python(version: str) -> Finding:
    """Check that the machine has a Python; the environment may have its own."""
    if not version:
        return Finding(
            name="python",
            state="warning",
            detail="no python3; making the environment needs conda or uv",
            remedy="lab setup",
        )
    if not _PYTHON.fullmatch(version):
        return unknown("python", "its version cannot be read")
    if tuple(map(int, version.split("."))) < _OLDEST_PYTHON:
        return Finding(
            name="python",
            state="warning",
            detail=f"{version}; the environment needs 3.11 or newer, which conda or uv can install",
            remedy="lab setup",
        )
    return ok("python", version)


def check_git(version: str) -> Finding:
    """Check that the machine has git, which receives the commits."""
    if not version:
        return Finding(
            name="git",
            state="failed",
            detail="not installed; commits cannot be pushed there",
            remedy="On the machine: sudo apt install git (or ask whoever runs it)",
        )
    number = version.removeprefix("git version ")
    if not _GIT.match(number):
        return unknown("git", "its version cannot be read")
    if git.is_old(number):
        return Finding(
            name="git",
            state="failed",
            detail=f"{number} is too old; lab needs {git.oldest()} or newer",
            remedy="On the machine: sudo apt install git; without an administrator: conda install "
            "git",
        )
    return ok("git", number)


def check_disk(free_kib: str, *, needed: int = _FREE_GIB) -> Finding:
    """Check that the project's disk has space; `free_kib` is in KiB, `needed` in GiB."""
    if not _DIGITS.fullmatch(free_kib):
        return unknown("disk", "df did not say how much is free")
    free = int(free_kib) / 1024**2
    if free < needed:
        return Finding(
            name="disk",
            state="failed",
            detail=f"{free:.1f} GiB are free for the project; about {needed} are needed",
            remedy="Free disk space there, or name a larger disk in lab.toml: [remote] folder",
        )
    return ok("disk", f"{free:.0f} GiB free")


def check_quota(word: str | None, output: str = "", *, needed: int = _FREE_GIB) -> Finding:
    """Check that the quotas leave space; `output` is from quota.sh, `needed` in GiB.

    `word` is "none" where the machine has no program that could tell.
    """
    if word is None:
        return unknown("quota", "the machine did not say")
    if word == "none":
        return skipped("quota", "the machine has no program that reports quotas")
    quotas = sorted(parse_quotas(output), key=lambda one: -one.share)
    is_read = parse_quotas(output, unlimited=True)
    if not is_read and any(map(_SAYS_MORE.match, output.split("\n"))):
        return unknown("quota", "the output of the programs that report it cannot be read")
    if not quotas:
        return ok("quota", "none")
    short = [one for one in quotas if one.is_over or one.leaves_less_than(needed)]
    if not short:
        return ok("quota", str(quotas[0]), quoted=(str(quotas[0]),))
    why = "it is used up" if short[0].is_over else f"about {needed} GiB more are needed"
    return Finding(
        name="quota",
        state="failed",
        detail=f"{short[0]}; {why}",
        quoted=(str(short[0]),),
        remedy="Free disk space there, or use another disk: folder and cache in [environment] of "
        "lab.local.toml. To see what uses it: du -xh ~ | sort -h | tail",
    )


def check_clock(there: str, *, before: float, after: float) -> Finding:
    """Check that both clocks agree; `there` was read between `before` and `after`, in seconds.

    All are seconds since 1970.
    """
    if not _DIGITS.fullmatch(there):
        return unknown("clock", "date did not print the machine's time")
    skew = int(there) - min(max(int(there), before), after)
    if abs(skew) > _SKEW_SECONDS:
        direction = "ahead" if skew > 0 else "behind"
        return Finding(
            name="clock",
            state="failed",
            detail=f"the machine's clock is {abs(skew):.0f} s {direction}; its files will seem too "
            "new or too old",
            remedy="On the machine: sudo timedatectl set-ntp true",
        )
    return ok("clock", "agrees with this computer's")


def check_logout(word: str | None) -> Finding:
    """Check that programs on the machine may outlive the last connection; `word` is logout.sh's.

    It is empty where there is no systemd-logind.
    """
    if word is None:
        return unknown("logout", "the machine did not say what it stops when you log out")
    if word == "":
        return skipped("logout", "no systemd-logind, which could stop what you leave running")
    if word == "keeps":
        return ok("logout", "what you leave running continues")
    if word not in AT_LOGOUT:
        return unknown("logout", "the machine's answer cannot be read")
    return Finding(
        name="logout",
        state="warning",
        detail=f"when your last connection ends, the machine {AT_LOGOUT[word]}",
        remedy="Ask whoever runs the machine to name you in logind.conf: KillExcludeUsers=",
    )
