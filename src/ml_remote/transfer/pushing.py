"""`lab push`: what is committed here goes to the machine and is checked out there."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from ..context import Context
from ..errors import LabError, RemoteCommandError
from ..machine import Machine
from ..processes import Result
from .failures import explain_failure
from .git_here import Repository, git, git_through, read_repository, snapshot
from .git_there import UNCOMMITTED, RemoteRepository, check_out, prepare

__all__ = ["push", "push_to"]


def push(context: Context, *, alias: str | None = None, dirty: bool = False) -> None:
    """Carry out `lab push`; `dirty` sends what is not committed, too.

    Raises LabError, in words, when it cannot be done; nothing is lost on either side then.
    """
    push_to(context, context.machine(alias), dirty=dirty)
    context.console.next_step("lab setup")


def push_to(context: Context, machine: Machine, *, dirty: bool = False) -> None:
    """Push, and say in a line what was done."""
    console = context.console
    repository = read_repository(context.project.root)
    coming = _what_comes(repository, dirty=dirty)
    there = prepare(machine, branch=coming.branch, commit=coming.commit)
    if there.tip == coming.commit and there.branch == coming.branch:
        console.say(
            f"Nothing to push: {coming.name} is on {machine.alias} already, in {there.folder}."
        )
    else:
        _check(machine, there, coming)
        _bring(machine, repository, there, coming)
        console.say(
            f"Pushed{_amount(repository, there, coming)} to {machine.alias}: {there.folder} is now "
            f"at {coming.name}."
        )
    if repository.changed and not dirty:
        files = "1 file" if repository.changed == 1 else f"{repository.changed} files"
        console.warn(
            f"{files} with changes are not pushed: commit them, or send them as they stand: "
            "lab push --dirty"
        )


@dataclass(frozen=True, kw_only=True)
class _Coming:
    """The commit that is to be checked out on the machine."""

    commit: str
    branch: str
    name: str


def _what_comes(repository: Repository, *, dirty: bool) -> _Coming:
    commit = snapshot(repository) if dirty else repository.commit
    if commit == repository.commit:
        name = f"{repository.branch} ({commit[:7]})"
        return _Coming(commit=commit, branch=repository.branch, name=name)
    name = f"{repository.branch} with what is not committed ({commit[:7]})"
    return _Coming(commit=commit, branch=UNCOMMITTED, name=name)


def _check(machine: Machine, there: RemoteRepository, coming: _Coming) -> None:
    """Raise RemoteCommandError when what is there must not be changed."""
    if there.changes:
        raise RemoteCommandError(
            f"There is uncommitted work on {machine.alias}, in {there.folder}: "
            f"{_some(there.changes)}. Nothing was pushed.",
            hint=f"There, commit it (then here: lab pull), or put it aside: ssh {machine.alias}, "
            "then git stash in that folder",
        )
    if coming.branch == UNCOMMITTED and there.tip != there.sent:
        raise RemoteCommandError(
            f"On {machine.alias} there are commits on {UNCOMMITTED}, which would be replaced.",
            hint=f"There, keep them under another name: git branch -m {UNCOMMITTED} NAME",
        )


def _bring(
    machine: Machine, repository: Repository, there: RemoteRepository, coming: _Coming
) -> None:
    """Push the commit and check it out there. Raises LabError when one of both fails."""
    try:
        if there.tip != coming.commit:
            _send(machine, repository, there, coming)
        if there.branch != coming.branch:
            check_out(machine, branch=coming.branch)
    except LabError:
        # Nothing of an update that was begun stays, such as when the disk there is full.
        with suppress(LabError):
            prepare(machine, branch=coming.branch)
        raise


def _send(
    machine: Machine, repository: Repository, there: RemoteRepository, coming: _Coming
) -> None:
    """Push the commit to its branch there. Raises LabError when it is refused."""
    commit, branch = coming.commit, f"refs/heads/{coming.branch}"
    refs = [f"{commit}:{branch}"]
    lease = []
    if coming.branch == UNCOMMITTED:
        refs = [f"+{commit}:{branch}", f"+{commit}:refs/lab/uncommitted"]
        lease = [f"--force-with-lease={branch}:{there.tip}", "--atomic"]
    place = f"{machine.alias}:{there.folder}"
    done = git_through(
        machine.client, repository.root, "push", "--progress", *lease, "--", place, *refs
    )
    if done.returncode != 0:
        raise _explain(machine, there, coming, done)


def _explain(machine: Machine, there: RemoteRepository, coming: _Coming, done: Result) -> LabError:
    """Return the error that says why git did not push."""
    said = done.stderr
    if re.search(r"\((?:fetch first|non-fast-forward|stale info)\)", said):
        return RemoteCommandError(
            f"{machine.alias} has commits on {coming.branch} that are not here.", hint="lab pull"
        )
    in_the_way = re.findall(r"Untracked working tree file '(.*)' would be overwritten", said)
    in_the_way += re.findall(r"^remote: \t(.+)$", said, re.MULTILINE)
    if in_the_way:
        return RemoteCommandError(
            f"In {there.folder} on {machine.alias} there are files that git does not know and that "
            f"the push would replace: {_some(in_the_way)}.",
            hint="Move or delete them there, then: lab push",
        )
    if re.search(r"(?:unstaged|staged) changes\)", said):
        return RemoteCommandError(
            f"Somebody is working in {there.folder} on {machine.alias} at this moment.",
            hint="Commit that work there, then: lab push",
        )
    if "unable to write" in said and "No space left" not in said:
        said += "\nNo space left on device"
    return explain_failure(machine.client, said, what="The push")


def _amount(repository: Repository, there: RemoteRepository, coming: _Coming) -> str:
    """Return how many commits came, where that can be told."""
    since = [f"^{there.tip}"] if there.tip else []
    count = git(repository.root, "rev-list", "--count", coming.commit, *since, check=False)
    number = count.stdout.strip()
    if count.returncode != 0 or number == "0" or coming.branch == UNCOMMITTED:
        return ""
    return " 1 commit" if number == "1" else f" {number} commits"


def _some(files: tuple[str, ...] | list[str]) -> str:
    """Return the first few names."""
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return ", ".join(files[:5]) + more
