"""`lab push`: send the commits to the machine, and check them out there."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from ..context import Context
from ..errors import RemoteCommandError
from ..machine import Machine
from ..next_steps import Known, what_next
from ..processes import Result
from ..ui.words import some
from .data.folder import link_data
from .failures import explain_git
from .local_repository import (
    Repository,
    about_submodules,
    git,
    git_through,
    has_hook,
    is_ancestor,
    is_another_project,
    is_known,
    read_repository,
    snapshot,
)
from .push_session import Tried, keeping, push_in_one_session, remember
from .remote_repository import (
    UNCOMMITTED,
    Incomplete,
    RemoteRepository,
    another_project,
    in_the_way_of_stash,
    named,
    parse_prepared,
    parse_update,
    run_prepare,
    update,
)
from .uncommitted import check_uncommitted

__all__ = ["push", "push_to"]


def push(context: Context, *, alias: str | None = None, dirty: bool = False) -> None:
    """Run `lab push`; `dirty` also sends uncommitted changes.

    Raises LabError, in words, when it cannot be done; nothing is lost on either side then.
    """
    known = push_to(context, context.machine(alias), dirty=dirty)
    context.console.next_step(what_next(context, known, after="lab push"))


def push_to(context: Context, machine: Machine, *, dirty: bool = False) -> Known:
    """Push, say in a line what was done, and return what is known of the machine now."""
    console = context.console
    repository = read_repository(context.project.root)
    check_uncommitted(context, repository, dirty=dirty)
    coming = _what_comes(repository, dirty=dirty)
    tried = _try_in_one_session(machine, repository, coming)
    there = parse_prepared(machine, tried.there or _look(machine, repository, coming))
    incomplete = Incomplete(submodules=there.submodules)
    if there.tip == coming.commit and there.branch == coming.branch:
        console.say(
            f"Nothing to push: {coming.name} is already on {machine.alias}, in {there.folder}."
        )
    else:
        if tried.update is not None:
            incomplete = parse_update(machine, tried.update, branch=coming.branch)
        else:
            _check(machine, repository, there, coming)
            incomplete = _bring(machine, repository, there, coming)
        console.say(
            f"Pushed{_amount(repository, there, coming)} to {machine.alias}: {there.folder} is now "
            f"at {coming.name}."
        )
    how = f"In {there.folder} there: git submodule update --init"
    for warning in about_submodules(
        repository.root, coming.commit, incomplete.submodules, where=f"on {machine.alias}", how=how
    ):
        console.warn(warning)
    if incomplete.pointers:
        console.warn(
            f"These files are in Git LFS, and their content is not on {machine.alias}: "
            f"{some(incomplete.pointers)}. In {there.folder} there, with git-lfs installed: git "
            "config lfs.url ADDRESS, then git lfs pull"
        )
    if repository.changed and not dirty:
        number = len(repository.changed)
        files, them = ("1 file is", "it") if number == 1 else (f"{number} files are", "them")
        console.warn(
            f"{files} not committed and not pushed: {some(repository.changed)}. Commit {them}, or "
            f"send {them} without a commit: lab push --dirty"
        )
    link_data(context, machine)
    return there.environment


@dataclass(frozen=True, kw_only=True)
class _Coming:
    """The commit to check out on the machine."""

    commit: str
    branch: str
    name: str


def _what_comes(repository: Repository, *, dirty: bool) -> _Coming:
    commit = snapshot(repository) if dirty else repository.commit
    if commit == repository.commit:
        name = f"{repository.branch} ({commit[:7]})"
        return _Coming(commit=commit, branch=repository.branch, name=name)
    name = f"{repository.branch} with uncommitted changes ({commit[:7]})"
    return _Coming(commit=commit, branch=UNCOMMITTED, name=name)


def _try_in_one_session(machine: Machine, repository: Repository, coming: _Coming) -> Tried:
    """Push in one session; nothing is done where that is not possible."""
    if coming.branch != repository.branch:
        return Tried()
    return push_in_one_session(machine, repository.root, branch=coming.branch, commit=coming.commit)


def _look(machine: Machine, repository: Repository, coming: _Coming) -> Result:
    """Read the repository on the machine, and store there the script that pushes in one session."""
    found = run_prepare(machine, branch=coming.branch, base=repository.branch, more=keeping())
    remember(repository.root, machine, "".join(named(found, "kept")))
    return found


def _check(
    machine: Machine, repository: Repository, there: RemoteRepository, coming: _Coming
) -> None:
    """Raise RemoteCommandError when what is there must not be changed."""
    alias, folder = machine.alias, there.folder
    if is_another_project(repository.root, there.roots):
        raise another_project(machine)
    if there.doing:
        raise RemoteCommandError(
            f"A {there.doing} is in progress on {alias}, in {folder}. Nothing was pushed.",
            hint=f"Finish or abort it there: ssh {alias}, then in that folder git status names the "
            "command",
        )
    if there.changes:
        lost = in_the_way_of_stash(machine)
        warning = f" `git stash` would remove untracked files: {some(lost)}." if lost else ""
        aside = "" if lost else f", or put it aside: ssh {alias}, then git stash in that folder"
        raise RemoteCommandError(
            f"There is uncommitted work on {alias}, in {folder}: {some(there.changes)}. Nothing "
            "was pushed." + warning,
            hint=f"Commit it there (then here: lab pull){aside}",
        )
    if there.base and not is_ancestor(repository.root, there.base, repository.commit):
        raise RemoteCommandError(
            f"{alias} has commits on {repository.branch} that are not here. Nothing was pushed.",
            hint="lab pull",
        )
    if not there.branch and there.head and not is_known(repository.root, there.head):
        raise RemoteCommandError(
            f"On {alias} no branch is checked out, and the commits there are not here. Nothing was "
            "pushed.",
            hint=f"On the machine, keep them under a name: cd {shlex.quote(folder)} && git branch "
            "NAME",
        )
    is_sent = there.head in ("", there.sent) or is_known(repository.root, there.head)
    elsewhere = there.branch not in ("", UNCOMMITTED)
    if coming.branch == UNCOMMITTED and elsewhere and not is_sent:
        raise RemoteCommandError(
            f"{alias} has commits on {there.branch} that are not here. Nothing was pushed.",
            hint=f"On {alias}, in {shlex.quote(folder)}: git checkout "
            f"--no-overwrite-ignore {shlex.quote(repository.branch)} --",
        )
    if coming.branch == UNCOMMITTED and there.tip != there.sent:
        raise RemoteCommandError(
            f"On {alias} there are commits on {UNCOMMITTED}, which would be replaced.",
            hint=f"On the machine, keep them under another name: git branch -m {UNCOMMITTED} NAME",
        )


def _bring(
    machine: Machine, repository: Repository, there: RemoteRepository, coming: _Coming
) -> Incomplete:
    """Push the commit and check it out there; return what did not come.

    Raises LabError when one of both fails.
    """
    if there.tip != coming.commit:
        _send(machine, repository, there, coming)
    return update(machine, branch=coming.branch, commit=coming.commit, tip=there.tip)


def _send(
    machine: Machine, repository: Repository, there: RemoteRepository, coming: _Coming
) -> None:
    """Push the commit under a name that nothing uses there. Raises LabError when that fails."""
    commit = coming.commit
    done = git_through(
        machine.client, repository.root, "push", there.folder,
        "--recurse-submodules=no", f"+{commit}:refs/lab/coming/{commit}",
    )  # fmt: skip
    if done.returncode != 0:
        hook = has_hook(repository.root, "pre-push")
        raise explain_git(machine.client, done, what="The push", is_push=True, has_hook=hook)


def _amount(repository: Repository, there: RemoteRepository, coming: _Coming) -> str:
    """Return how many commits came, where that can be told."""
    since = [f"^{there.tip}"] if there.tip else []
    count = git(repository.root, "rev-list", "--count", coming.commit, *since, check=False)
    number = count.stdout.strip()
    if count.returncode != 0 or number == "0" or coming.branch == UNCOMMITTED:
        return ""
    return " 1 commit" if number == "1" else f" {number} commits"
