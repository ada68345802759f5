"""The repository on the machine: making it, reading it, and mending an interrupted update.

The working tree there is brought up to date by git itself when a push comes in
(receive.denyCurrentBranch updateInstead), which it refuses while there is uncommitted work. When
that is interrupted, by a full disk for instance, files of the old and of the new state lie side by
side and would look like somebody's work for ever. So the commit that is about to come is noted
beforehand, and a file that is on its way from the old state to the noted one is put back.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import RemoteCommandError
from ..machine import Machine
from ..processes import Result
from ..scripts import ExitCode, Explanations, check, script

__all__ = ["UNCOMMITTED", "RemoteRepository", "check_out", "prepare", "read"]

UNCOMMITTED = "lab-uncommitted"
"""The branch there that holds work which was sent without being committed."""


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
    sent: str
    """The last commit of uncommitted work that was sent; empty if that never happened."""
    changes: tuple[str, ...]
    """Files that git knows and that hold work that is not committed."""


def prepare(machine: Machine, *, branch: str, commit: str = "") -> RemoteRepository:
    """Make the repository there where it is missing, ready to take `commit`, and read it.

    What an interrupted push left is put back. Raises RemoteCommandError, with what to do.
    """
    result = _run(machine, "prepare-repository", branch, commit)
    _check(
        machine,
        result,
        {
            ExitCode.NO_GIT: lambda _: RemoteCommandError(
                f"git is not installed on {machine.alias}; the code goes there by it.",
                hint="There: sudo apt install git; without an administrator: conda install git",
            ),
            ExitCode.NO_FOLDER: lambda said: RemoteCommandError(
                f"The folder {machine.folder} cannot be made on {machine.alias}: {said}",
                hint="Name another one in lab.toml ([remote] folder), or mend its rights there",
            ),
        },
    )
    return _parse(result)


def read(machine: Machine, *, branch: str) -> RemoteRepository | None:
    """Read the repository there; None where the machine has none there, or no git.

    Raises MissingFolderError when the folder is not there, RemoteCommandError.
    """
    result = _run(machine, "read-repository", branch)
    if result.returncode in (ExitCode.NO_GIT, ExitCode.NO_REPOSITORY):
        return None
    _check(machine, result, {})
    return _parse(result)


def check_out(machine: Machine, *, branch: str) -> None:
    """Check a branch out there. Raises RemoteCommandError in git's words when that fails."""
    result = _run(machine, "check-out", branch)
    _check(
        machine,
        result,
        {
            result.returncode: lambda said: RemoteCommandError(
                f"{branch} is on {machine.alias}, but could not be checked out there: {said}",
                hint="Move what stands in the way there, or commit it, then run this again",
            )
        },
    )


def _run(machine: Machine, name: str, *arguments: str) -> Result:
    return machine.client.run_script(script(name), machine.folder, *arguments, check=False)


def _check(machine: Machine, result: Result, explanations: Explanations) -> None:
    """Raise the error that says why a script failed, if it did."""
    said = " ".join(result.stderr.split()) or "it printed nothing"
    full = RemoteCommandError(
        f"The disk of {machine.alias} is full.",
        hint="Make room there (lab status shows the disk), then run this again",
    )
    known: Explanations = {**explanations, ExitCode.DISK: lambda _: full}
    code = result.returncode
    if code not in (0, ExitCode.NO_FOLDER, ExitCode.NOT_YOURS, *known):
        raise RemoteCommandError(f"On {machine.alias}, git failed: {said}")
    check(code, said, machine=machine, explanations=known)


def _parse(result: Result) -> RemoteRepository:
    lines = [line.partition(" ") for line in result.stdout.splitlines()]
    facts = {word: text for word, _, text in lines}
    return RemoteRepository(
        folder=facts["folder"],
        head=facts["head"],
        branch=facts["branch"],
        tip=facts["tip"],
        sent=facts["sent"],
        changes=tuple(text for word, _, text in lines if word == "change"),
    )
