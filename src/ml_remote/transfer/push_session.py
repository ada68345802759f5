"""A push in one session: read the machine's repository, send the commit and check it out.

Each session costs round trips. So the program that git starts there for its own push does
the rest, too: a script that an earlier push has kept in `.git`. It takes a commit
only where the machine is exactly as the last push has left it. Where anything is different, or
the script is missing, it only tells what is there, and the push goes step by step.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import UnreachableError
from ..machine import Machine
from ..processes import Result
from ..scripts import script
from ..ssh.client import quote
from ..ssh.explaining import recognise
from ..ssh.ssh_log import ThroughSsh
from ..state import NAME, make_state
from .failures import explain_git
from .local_repository import UNSET, git, git_through, has_hook

__all__ = ["Tried", "keeping", "push_in_one_session", "remember"]

_KNOWN = 16
"""How many commits before the one that goes are named: more new ones go step by step."""
_LINE = re.compile(r"(?m)^== lab push (there|update|takes|missing) ==(?: (.*))?\n?")
_END = "END OF THE SCRIPT THAT IS KEPT"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """The result of a push in one session."""

    there: Result | None = None
    """What prepare-repository has found; None where it did not run."""
    update: Result | None = None
    """What came of update-repository; None where it did not run."""


@cache
def _program() -> tuple[str, str]:
    """Return the script that is kept there, and the name that it is kept under."""
    text = script("push-in-one-session")
    return text, f"lab-push-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def keeping() -> str:
    """Return the lines that have a script in the folder there keep the program in `.git`."""
    text, name = _program()
    return f"{script('keep-push')}keep_push {name} <<'{_END}'\n{text}{_END}\n"


def remember(root: Path, machine: Machine, kept: str) -> None:
    """Remember that the machine has the program, if `kept`, what it said it has kept, is that."""
    place = _memory(root, machine)
    with suppress(OSError):
        if kept == _program()[1]:
            make_state(root / NAME)
            place.parent.mkdir(exist_ok=True)
            place.write_text(kept, encoding="utf-8")
        else:
            place.unlink(missing_ok=True)


def push_in_one_session(machine: Machine, root: Path, *, branch: str, commit: str) -> Tried:
    """Send a commit and have it checked out, where nothing else was done there since the last push.

    Raises LabError when git could not send it, or the machine is not reached.
    """
    name = _program()[1]
    place = _memory(root, machine)
    try:
        if place.read_text(encoding="utf-8") != name:
            return Tried()
    except (OSError, ValueError):
        return Tried()
    listed = git(root, "rev-list", f"--max-count={_KNOWN + 1}", commit, check=False).stdout.split()
    known = ",".join(listed[1:])
    if not known:
        return Tried()
    machine.client.get_ready()
    done = git_through(
        machine.client, root, "push", machine.folder,
        "--recurse-submodules=no", f"+{commit}:refs/lab/coming/{commit}",
        program=f"{_START.format(unset=UNSET, name=name)} {commit} {known} {quote(branch)}",
    )  # fmt: skip
    return _read(machine, root, done)


# Words that every login shell reads alike; git puts the folder behind them. What somebody else has
# put there is not run.
_START = (
    'sh -c \'unset {unset}; cd; if [ -O "$4/.git/{name}" ]; then '
    'exec env LC_MESSAGES=C sh "$4/.git/{name}" "$@"; fi; '
    'echo "== lab push missing ==" >&2; exit 1\' sh'
)


def _read(machine: Machine, root: Path, done: ThroughSsh) -> Tried:
    """Return what was found and done there. Raises LabError where git has failed."""
    stages: dict[str, list[str]] = {}
    for stage, text in _LINE.findall(done.stderr):
        stages.setdefault(stage, []).append(text)
    if "missing" in stages:
        remember(root, machine, "")
    if "there" not in stages:
        known = recognise(done.of_ssh, alias=machine.alias, others=done.stderr)
        if type(known) is UnreachableError:
            raise known
        return Tried()
    there, update = (_result(stages.get(stage, [])) for stage in ("there", "update"))
    if "takes" in stages and update is None and done.returncode != 0:
        said = ThroughSsh(**{**vars(done), "stderr": _LINE.sub("", done.stderr)})
        hook = has_hook(root, "pre-push")
        raise explain_git(machine.client, said, what="The push", is_push=True, has_hook=hook)
    return Tried(there=there, update=update)


def _result(lines: list[str]) -> Result | None:
    """Return what a script has printed, as if it had run by itself; None where it did not end."""
    code = next((line[5:] for line in reversed(lines) if line.startswith("code ")), "")
    if not re.fullmatch(r"[0-9]{1,3}", code):
        return None
    said = [line[5:] for line in lines if line.startswith("said ")]
    printed = [line for line in lines if not line.startswith(("said ", "code "))]
    return Result(
        returncode=int(code),
        stdout="".join(f"{line}\n" for line in printed),
        stderr="".join(f"{line}\n" for line in said),
    )


def _memory(root: Path, machine: Machine) -> Path:
    """Return the file here that names the program which a machine has."""
    where = hashlib.sha256(f"{machine.alias}\0{machine.folder}".encode()).hexdigest()[:16]
    return root / NAME / "pushed" / where
