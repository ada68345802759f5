"""The repository on the machine: making it, reading it, and pointing a branch at a commit.

A commit comes under a name that nothing uses, and is checked out by a script there, which first
compares it with the files on the disk: git alone replaces files that it ignores without a word.
When a checkout is interrupted, by a full disk for instance, files of the old and of the new state
are side by side and would look like somebody's work for ever. So the commit that is about to come
is noted beforehand, and a file that is on its way from the old state to the noted one is put back.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import answers, git
from ..errors import LabError, RemoteCommandError, WrongFolderError
from ..machine import Machine
from ..next_steps import Known, read_environment
from ..processes import Result
from ..scripts import ExitCode, Explanations, check, script
from ..ui.words import some
from .git_errors import git_failure

__all__ = [
    "UNCOMMITTED",
    "Incomplete",
    "RemoteRepository",
    "another_project",
    "in_the_way_of_moving",
    "named",
    "parse_prepared",
    "parse_read",
    "parse_update",
    "run_prepare",
    "run_read",
    "update",
]

UNCOMMITTED = "lab-uncommitted"
"""The branch there that holds work which was sent without being committed."""

_INSTALL = "sudo apt install git; without an administrator: conda install git"
_UNFINISHED = ("rebase", "merge", "cherry-pick", "revert", "bisect")
_UPDATE_TIMEOUT = 3600.0  # seconds: a large tree on a slow disk


@dataclass(frozen=True, kw_only=True)
class Incomplete:
    """What the commit checked out on the machine names, but git alone does not send."""

    submodules: tuple[str, ...]
    """Submodules whose files are not what the commit says."""
    pointers: tuple[str, ...] = ()
    """A few of the files whose content Git LFS keeps elsewhere."""


@dataclass(frozen=True, kw_only=True)
class RemoteRepository:
    """The project's repository on the machine, as it was when it was read."""

    folder: str
    """Its absolute path."""
    head: str
    """The commit that is checked out; empty before the first one."""
    branch: str
    """The branch that is checked out; empty when none is."""
    tip: str
    """What the branch that was asked for leads to; empty where there is no such branch."""
    base: str
    """What the branch that is checked out here leads to there; empty without it."""
    roots: tuple[str, ...]
    """The commits with which the history of what is checked out there begins."""
    sent: str
    """The last commit of uncommitted work that was sent; empty if that never happened."""
    changes: tuple[str, ...]
    """Files that git knows and that hold work that is not committed."""
    doing: str
    """What of several steps was begun there and is not finished, such as `rebase`."""
    environment: Known
    """What is known of the environment there."""
    submodules: tuple[str, ...]
    """Submodules whose files are not what the commit that is checked out says."""


def run_prepare(machine: Machine, *, branch: str, base: str, more: str = "") -> Result:
    """Make the repository there where it is missing, and look at it; `base` is the branch here.

    What an interrupted push left is put back. `more` are lines of sh that come behind that.
    """
    text = f"{script('prepare-repository')}{more}"
    return machine.client.run_script(text, machine.folder, branch, base, timeout=120, check=False)


def parse_prepared(machine: Machine, result: Result) -> RemoteRepository:
    """Return what was found there. Raises RemoteCommandError, with what to do."""
    _check(
        machine,
        result,
        {
            ExitCode.NO_GIT: lambda _: RemoteCommandError(
                f"git is not installed on {machine.alias}; lab sends code with it.",
                hint=f"On the machine: {_INSTALL}",
            ),
            ExitCode.NO_FOLDER: lambda said: RemoteCommandError(
                f"The folder {machine.folder} cannot be made on {machine.alias}: {said}",
                hint="Name another one in lab.toml ([remote] folder), or fix its permissions there",
            ),
        },
    )
    return _parse(result, machine)


def run_read(machine: Machine, *, branch: str) -> Result:
    """Read the state of the repository on the machine; change nothing."""
    return _run(machine, "read-repository", branch)


def parse_read(machine: Machine, result: Result) -> RemoteRepository | None:
    """Return what was found there; None where the machine has no repository there, or no git.

    Raises MissingFolderError when the folder is not there, RemoteCommandError.
    """
    if result.returncode in (ExitCode.NO_GIT, ExitCode.NO_REPOSITORY):
        return None
    _check(machine, result, {})
    return _parse(result, machine)


def update(machine: Machine, *, branch: str, commit: str, tip: str) -> Incomplete:
    """Point a branch at a commit on the machine, and check it out.

    `tip` is what the branch led to before. Returns what did not come. Raises LabError when anything
    would be lost; nothing has changed then.
    """
    result = _run(machine, "update-repository", branch, commit, tip, timeout=_UPDATE_TIMEOUT)
    return parse_update(machine, result, branch=branch)


def parse_update(machine: Machine, result: Result, *, branch: str) -> Incomplete:
    """Return what did not come with a commit that was checked out.

    Raises LabError when anything would be lost; nothing has changed then.
    """
    alias, folder = machine.alias, machine.folder

    def changed(_: str) -> RemoteCommandError:
        files = some(named(result, "change"))
        return RemoteCommandError(
            f"Someone is working in {folder} on {alias} right now: {files}. Nothing was changed "
            "there.",
            hint="Commit that work there, then: lab push",
        )

    def in_the_way(_: str) -> RemoteCommandError:
        files = some(named(result, "way"))
        return RemoteCommandError(
            f"The push would replace or remove untracked files in {folder} on {alias}: {files}. "
            "Nothing was changed there.",
            hint="Rename them there, then: lab push",
        )

    def refused(_: str) -> LabError:
        what = f"Checking out {branch} on {alias}"
        return git_failure(result.stderr, what=what, alias=alias, is_there=True)

    def moved(_: str) -> RemoteCommandError:
        return RemoteCommandError(
            f"{branch} on {alias} was changed by another command just now.",
            hint="Run the command again",
        )

    explanations: Explanations = {
        ExitCode.CHANGED: changed,
        ExitCode.IN_THE_WAY: in_the_way,
        ExitCode.REFUSED_BY_GIT: refused,
        ExitCode.AHEAD: moved,
    }
    _check(machine, result, explanations)
    return Incomplete(submodules=named(result, "submodule"), pointers=named(result, "pointer"))


def in_the_way_of_moving(machine: Machine, branch: str, since: str) -> tuple[str, ...]:
    """Return the files that would be lost if the commits since one were moved to a branch there.

    Raises RemoteCommandError when that cannot be told.
    """
    result = _run(machine, "compare-repository", branch, since)
    _check(machine, result, {})
    return named(result, "way")


def in_the_way_of_stash(machine: Machine) -> tuple[str, ...]:
    """Return the files that git does not track there, and that `git stash` would lose.

    Raises RemoteCommandError when that cannot be told.
    """
    result = _run(machine, "compare-stash-there")
    _check(machine, result, {})
    return named(result, "way")


def another_project(machine: Machine) -> WrongFolderError:
    """Return the error for a folder whose history has nothing in common with the one here."""
    return WrongFolderError(
        f"{machine.folder} on {machine.alias} holds another project: its commits have nothing in "
        "common with yours."
    )


def named(result: Result, word: str) -> tuple[str, ...]:
    """Return what a script printed in lines that begin with a word."""
    lines = [line.partition(" ") for line in result.stdout.split("\n")]
    return tuple(text for first, _, text in lines if first == word)


def _run(machine: Machine, name: str, *arguments: str, timeout: float = 120) -> Result:
    return machine.client.run_script(
        script(name), machine.folder, *arguments, timeout=timeout, check=False
    )


def _check(machine: Machine, result: Result, explanations: Explanations) -> None:
    """Raise the error that says why a script failed, if it did."""
    said = " ".join(result.stderr.split()) or "it printed nothing"
    full = RemoteCommandError(
        f"The disk of {machine.alias} is full.",
        hint="Free disk space there (lab status shows the disk), then run the command again",
    )

    def old(version: str) -> RemoteCommandError:
        return RemoteCommandError(
            f"git {version} on {machine.alias} is too old; lab needs {git.oldest()} or newer.",
            hint=f"On the machine: {_INSTALL}",
        )

    known: Explanations = {
        **explanations,
        ExitCode.DISK: lambda _: full,
        ExitCode.OLD_GIT: old,
    }
    code = result.returncode
    if code not in (0, ExitCode.NO_FOLDER, ExitCode.NOT_YOURS, ExitCode.LINKED, *known):
        what = f"git on {machine.alias}"
        raise git_failure(result.stderr, what=what, alias=machine.alias, is_there=True)
    check(code, said, machine=machine, explanations=known)


def _parse(result: Result, machine: Machine) -> RemoteRepository:
    lines = [line.partition(" ") for line in result.stdout.split("\n")]
    facts = {word: text for word, _, text in lines}
    branch = facts.get("branch", "")
    return RemoteRepository(
        folder=answers.folder(facts.get("folder"), asked=machine.folder),
        head=answers.commit(facts.get("head")),
        branch=answers.checked(answers.BRANCH, branch) if branch else "",
        tip=answers.commit(facts.get("tip")),
        base=answers.commit(facts.get("base")),
        roots=tuple(map(answers.commit, named(result, "root"))),
        sent=answers.commit(facts.get("sent")),
        changes=named(result, "change"),
        doing=doing if (doing := facts.get("doing", "")) in _UNFINISHED else "",
        environment=read_environment(facts.get("environment", "").split()),
        submodules=named(result, "submodule"),
    )
