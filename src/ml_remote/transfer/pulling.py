"""`lab pull`: fetch the commits made on the machine, and the labs' results."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

from ..context import Context
from ..errors import LabError, WrongFolderError
from ..machine import Machine
from ..next_steps import Known, what_next
from ..ui.console import Console
from ..ui.words import some
from .choosing import EVERYTHING, Choice
from .failures import explain_git
from .fetch_report import fetch_and_report
from .git_errors import git_failure
from .incoming_commits import examine, settle
from .local_repository import (
    Repository,
    about_submodules,
    git,
    git_through,
    is_ancestor,
    is_another_project,
    read_repository,
    run_script_here,
)
from .outputs import Looked, look_and_list
from .remote_repository import (
    UNCOMMITTED,
    RemoteRepository,
    another_project,
    in_the_way_of_moving,
    named,
    parse_read,
    run_read,
)

__all__ = ["pull"]

_BRING = "To fetch them: git submodule update --init"
# Otherwise a file of one side follows a folder that the other has renamed, to a place that was not
# compared with the disk, and git replaces what it ignores there.
_GIT = "git -c merge.directoryRenames=false"


def pull(
    context: Context,
    *,
    alias: str | None = None,
    choice: Choice = EVERYTHING,
    overwrite: bool = False,
    accept_tool: bool = False,
) -> None:
    """Run `lab pull`; `choice` selects results, and if any are named, no commits are fetched.

    `overwrite` replaces files in `outputs/` that differ here; `accept_tool` agrees beforehand to
    another commit of the tool.

    The outputs come even when the commits cannot, unless the folder is the wrong one. Raises
    LabError, in words; what has come stays.
    """
    console, machine = context.console, context.machine(alias)
    failure: LabError | None = None
    known = Known()
    looked: Looked | None = None
    try:
        if not choice.is_named:
            known, looked = _pull_commits(
                machine, context.project.root, console, accept_tool=accept_tool
            )
    except WrongFolderError:
        raise
    except LabError as error:
        failure = error
    try:
        fetch_and_report(
            context,
            machine,
            choice=choice,
            overwrite=overwrite,
            listing=None if looked is None else looked.listing,
        )
    except LabError as error:
        if failure is not None and failure.message != error.message:
            console.warn(f"No commits were fetched: {failure.message}")
        raise
    if failure is not None:
        console.note("No commits were fetched.")
        raise failure
    outputs = context.project.outputs
    has_results = outputs.is_dir() and any(outputs.iterdir())
    known = replace(known, results="look at outputs/" if has_results else None)
    console.next_step(what_next(context, known, after="lab pull"))


def _files(number: int, one: str = "", more: str = "") -> str:
    """Return a number of files, with the form of a verb that agrees with it."""
    words = f"1 file {one}" if number == 1 else f"{number} files {more}"
    return words.rstrip()


def _pull_commits(
    machine: Machine, root: Path, console: Console, *, accept_tool: bool
) -> tuple[Known, Looked | None]:
    """Update the branch that is checked out here to its state on the machine.

    Returns what is known of the machine, and the results there where they were listed just now.
    """
    repository = read_repository(root)
    looked = look_and_list(machine, branch=repository.branch)
    found = looked.repository if looked else run_read(machine, branch=repository.branch)
    there = parse_read(machine, found)
    if there is None:
        console.say(f"There is no repository on {machine.alias}; only outputs are fetched.")
        return Known(), looked
    if is_another_project(root, there.roots):
        raise another_project(machine)
    _warn(machine, repository, there, console)
    if not there.tip or is_ancestor(root, there.tip, repository.commit):
        console.say(f"No new commits on {machine.alias}.")
        return there.environment, looked
    local = f"refs/lab/{repository.branch}"
    _make_way(root, local)
    done = git_through(
        machine.client, root, "fetch", there.folder, "--no-tags", "--no-recurse-submodules",
        f"+refs/heads/{repository.branch}:{local}",
    )  # fmt: skip
    if done.returncode != 0:
        raise explain_git(machine.client, done, what="Fetching the commits")
    _fast_forward(machine, repository, local, console, accept_tool=accept_tool)
    return there.environment, None


def _make_way(root: Path, local: str) -> None:
    """Remove what earlier pulls of other branches have left where git now needs a folder, or none.

    These refs are ours; for git, `a` and `a/b` exclude each other.
    """
    refs = git(root, "for-each-ref", "--format=%(refname)", "refs/lab/").stdout.split()
    for ref in refs:
        if local.startswith(f"{ref}/") or ref.startswith(f"{local}/"):
            git(root, "update-ref", "-d", ref)


def _warn(
    machine: Machine, repository: Repository, there: RemoteRepository, console: Console
) -> None:
    """Report what is not fetched: uncommitted work on the machine, or another branch."""
    if there.changes:
        console.warn(
            f"On {machine.alias}, {_files(len(there.changes), 'is', 'are')} not committed and "
            f"will not be fetched: {some(there.changes)}"
        )
    if there.branch == UNCOMMITTED and there.head != there.sent:
        console.warn(
            f"Commits on {machine.alias} were made on top of your uncommitted work. "
            + _how_to_move(machine, repository, there)
        )
    elif there.branch not in (repository.branch, UNCOMMITTED):
        console.warn(
            f"{machine.alias} has {there.branch or 'no branch'} checked out; lab fetches "
            f"{repository.branch}, the branch here."
        )


def _how_to_move(machine: Machine, repository: Repository, there: RemoteRepository) -> str:
    """Return how commits on top of uncommitted work get to the branch, without losing a file."""
    if not (there.tip and there.sent):
        return f"On the machine, keep them under another name: git branch -m {UNCOMMITTED} NAME"
    in_the_way = in_the_way_of_moving(machine, repository.branch, there.sent)
    if in_the_way:
        return (
            f"Untracked files there are in the way of putting them on {repository.branch}: "
            f"{some(in_the_way)}. Rename these, then: lab pull"
        )
    return (
        f"There, put them on {repository.branch}: git checkout --no-overwrite-ignore "
        f"{shlex.quote(repository.branch)} -- && {_GIT} cherry-pick {there.sent[:7]}..{UNCOMMITTED}"
    )


def _fast_forward(
    machine: Machine, repository: Repository, local: str, console: Console, *, accept_tool: bool
) -> None:
    """Move the branch here forward to what was fetched. Raises LabError when that cannot be."""
    root = repository.root
    if git(root, "merge-base", repository.commit, local, check=False).returncode == 1:
        git(root, "update-ref", "-d", local)
        raise another_project(machine)
    if not is_ancestor(root, repository.commit, local):
        raise _diverged(machine, repository, local)
    count = git(root, "rev-list", "--count", f"{repository.commit}..{local}").stdout.strip()
    new = git(root, "rev-parse", "--verify", f"{local}^{{commit}}").stdout.strip()
    incoming = examine(root, repository.commit, new)
    settle(incoming, console, accepted=accept_tool, source=machine.alias)
    # A hook that came with the commits, or reads what did, is not run by taking them.
    done = run_script_here(root, "update-here", new, "no hooks" if incoming.touched else "")
    in_the_way = named(done, "way")
    if in_the_way:
        raise LabError(
            f"The new commits would replace or remove untracked files here: {some(in_the_way)}. "
            "Nothing was changed here.",
            hint="Rename them, then: lab pull",
        )
    if done.returncode != 0:
        files = re.findall(r"^\t(.+)$", done.stderr, re.MULTILINE)
        if files:
            lost = named(run_script_here(root, "compare-stash"), "way")
            aside = "" if lost else " or put it aside (git stash)"
            warning = f" `git stash` would remove untracked files: {some(lost)}." if lost else ""
            raise LabError(
                f"The new commits change files with uncommitted work: {some(files)}.{warning}",
                hint=f"Commit it{aside}, then: lab pull",
            )
        raise git_failure(done.stderr, what="Updating the files here", alias=machine.alias)
    if incoming.changes_tool:
        _remember_tool(root, console)
    commits = "1 commit" if count == "1" else f"{count} commits"
    console.say(f"{commits} fetched from {machine.alias}: {repository.branch} is up to date.")
    for warning in about_submodules(root, new, named(done, "submodule"), where="here", how=_BRING):
        console.warn(warning)


def _remember_tool(root: Path, console: Console) -> None:
    """Remember that the tool of the project was agreed to, so that the word `lab` runs it."""
    from ..pins import read_pin
    from ..trust import trust

    try:
        pin = read_pin(root)
        if pin is not None:
            trust(pin)
    except LabError as error:
        console.warn(error.message)


def _diverged(machine: Machine, repository: Repository, local: str) -> LabError:
    """Return the error for new commits on both sides; what it proposes loses no file."""
    done = run_script_here(repository.root, "compare-here", local)
    in_the_way = named(done, "way")
    if in_the_way or done.returncode != 0:
        return LabError(
            f"There are new commits on {repository.branch} both here and on {machine.alias}, and a "
            f"rebase would replace or remove untracked files here: {some(in_the_way)}.",
            hint="Rename them, then: lab pull",
        )
    return LabError(
        f"There are new commits on {repository.branch} both here and on {machine.alias}.",
        hint=f"To put yours on top: {_GIT} rebase {shlex.quote(local)}; then: lab push",
    )
