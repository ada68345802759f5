"""The repository on this computer: what is committed, what is not, and running git."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import processes
from ..errors import LabError
from ..git import REMOVED, git_command, git_variables, is_old, oldest
from ..processes import Result
from ..scripts import script
from ..ssh.client import SCRIPT_BEGINS, Client, script_input
from ..ssh.ssh_log import ThroughSsh, ssh_log
from ..ssh.waiting import told_of_waiting
from ..tables import LOCAL_FILE
from ..ui.display import steps
from ..ui.words import some
from .git_errors import git_failure

__all__ = [
    "OWN",
    "UNSET",
    "Repository",
    "about_submodules",
    "check_path",
    "check_version",
    "git",
    "git_through",
    "has_hook",
    "is_ancestor",
    "is_another_project",
    "is_known",
    "is_tracked",
    "read_repository",
    "run_script_here",
    "snapshot",
]

_IDENTITY = (
    'git config --global user.name "Your Name" && git config --global user.email you@example.com'
)
_UNFINISHED = {"rebase-merge": "rebase", "rebase-apply": "rebase", "BISECT_LOG": "bisect"}
_NO_HOOK = re.compile(r"(?m)^fatal: cannot (?:run|exec) '?\S*hooks/pre-push'?: ")
_OF_OURS = "== lab "
"""Begins a line of our own script there."""
_PATIENCE = 120.0  # seconds until a script of our own has begun to answer
_LOOK_EVERY = 0.2  # seconds between two looks at how far git is
_COMMIT = "git add . && git commit -m 'Start'"
# These mean the same to an old git as well, which has neither `init -b` nor `switch`.
_BEGIN = "git init && git checkout -b main"
# Before that, git makes all letters of a setting's name on the command line small ones.
_KEEPS_CAPITALS = (2, 13)
# git may replace what it ignores without that option
_SWITCH = "git checkout --no-overwrite-ignore main --"
OWN = ("outputs", ".lab", ".venv", LOCAL_FILE)
"""A commit of what is not committed never has these, even where git does not ignore them."""
UNSET = " ".join((*REMOVED, "LC_ALL"))
"""The variables that a git on the machine does not get, where it is started by words alone."""
# Nor these, should they be links of one's own.
_LINKS = ("data",)


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The project's repository here, as it was when it was read."""

    root: Path
    branch: str
    commit: str
    """What the branch leads to."""
    changed: tuple[str, ...]
    """The files with work that is not committed, new ones included."""


def read_repository(root: Path) -> Repository:
    """Read the repository whose top is `root`.

    Raises LabError, with what to do, when there is none, when it begins further up, when no branch
    is checked out, and when nothing is committed yet.
    """
    check_path(root)
    check_version()
    top = git(root, "rev-parse", "--show-toplevel", check=False)
    has_none = "not a git repository" in top.stderr.lower() and not (root / ".git").exists()
    if top.returncode != 0 and has_none:
        raise LabError(f"{root} is not under version control.", hint=f"{_BEGIN} && {_COMMIT}")
    if top.returncode != 0:
        raise _failed("rev-parse", top)
    if Path(top.stdout.strip()).resolve() != root.resolve():
        raise LabError(
            f"The project is a folder of another repository, {top.stdout.strip()}; lab sends only "
            "a repository of its own.",
            hint=f"Make it one, in the project's folder: {_BEGIN} && {_COMMIT}",
        )
    branch = git(root, "symbolic-ref", "--quiet", "--short", "HEAD", check=False).stdout.strip()
    if not branch:
        _check_readable(root)
        _check_finished(root)
        raise LabError(
            "No branch is checked out here (git calls it a detached HEAD).",
            hint=f"{_SWITCH}, or keep this state as a branch: git checkout -b NAME",
        )
    commit = git(root, "rev-parse", "--verify", "--quiet", "HEAD", check=False).stdout.strip()
    if not commit:
        known = git(root, "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT", check=False)
        raise LabError(
            "Nothing is committed here yet"
            + ("." if known.returncode == 0 else ", and git does not know who you are."),
            hint=_COMMIT if known.returncode == 0 else f"{_IDENTITY}; then: {_COMMIT}",
        )
    return Repository(root=root, branch=branch, commit=commit, changed=_changes(root))


def check_path(folder: Path) -> None:
    """Raise LabError for a folder that could not be found by what git says of it."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise LabError(
            f"The path {str(folder)!r} is not UTF-8 text, so lab cannot work there.",
            hint="Rename that folder, then run the command again",
        ) from None


def check_version() -> None:
    """Raise LabError when git is too old here, and ConfigurationError when there is none."""
    version = _version()
    if is_old(version):
        raise LabError(
            f"{version} on this computer is too old; lab needs {oldest()} or newer.",
            hint="Install a newer one: https://git-scm.com/downloads",
        )


def _version() -> str:
    """Return what git here says of its version."""
    # Before 1.8.5 there is no -C, so this is not asked in a folder.
    return processes.run(git_command("version"), variables=git_variables()).stdout.strip()


def _check_readable(root: Path) -> None:
    """Raise LabError when a branch is checked out, but git cannot read what it leads to."""
    head = root / git(root, "rev-parse", "--git-path", "HEAD").stdout.rstrip("\n")
    name = head.read_text(encoding="utf-8", errors="replace").strip()
    if name.startswith("ref: "):
        said = f"fatal: bad object {name.removeprefix('ref: ')}"
        raise git_failure(said, what="Reading the branch here", alias="this computer")


def _check_finished(root: Path) -> None:
    """Raise LabError when a rebase or bisect was begun here, which checks no branch out."""
    folder = root / git(root, "rev-parse", "--git-dir").stdout.rstrip("\n")
    for name, work in _UNFINISHED.items():
        if (folder / name).exists():
            raise LabError(
                f"A {work} is in progress here, so no branch is checked out.",
                hint=f"Finish or abort it: git {work} "
                + ("reset" if work == "bisect" else "--continue, or git rebase --abort"),
            )


def is_another_project(root: Path, first_commits: Sequence[str]) -> bool:
    """Return whether a repository with these first commits shares no history with the one here.

    Where that cannot be told, as in a shallow clone, it counts as the same.
    """
    shallow = git(root, "rev-parse", "--git-path", "shallow", check=False)
    if (
        not first_commits
        or shallow.returncode != 0
        or (root / shallow.stdout.rstrip("\n")).exists()
    ):
        return False
    here = git(root, "rev-list", "--max-parents=0", "HEAD", "--branches", check=False)
    return here.returncode == 0 and set(here.stdout.split()).isdisjoint(first_commits)


def snapshot(repository: Repository) -> str:
    """Return a commit of everything as it is, new files included; no branch or index changes.

    It is the same commit as long as nothing changes, and HEAD when all is committed.
    """
    root, head = repository.root, repository.commit
    folder = root / git(root, "rev-parse", "--git-dir").stdout.strip()
    with tempfile.TemporaryDirectory(prefix="lab-", dir=folder) as temporary:
        index = Path(temporary).resolve() / "index"
        if (folder / "index").is_file():
            shutil.copyfile(folder / "index", index)  # no file need be read again then
        variables = {"GIT_INDEX_FILE": str(index)}
        own = [
            name
            for name in (*OWN, *_LINKS)
            if ((root / name).is_symlink() or (name in OWN and (root / name).exists()))
            and not (is_tracked(root, name) or _ignores(root, name))
        ]
        git(root, "add", "--all", "--", ".", *map(":(exclude,literal){}".format, own),
            variables=variables)  # fmt: skip
        tree = git(root, "write-tree", variables=variables).stdout.strip()
    if tree == git(root, "rev-parse", f"{head}^{{tree}}").stdout.strip():
        return head
    date = git(root, "show", "--no-patch", "--format=%cI", head).stdout.strip()
    author = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "lab"), ("EMAIL", "lab@localhost"), ("DATE", date))
    }
    message = f"Uncommitted work on {repository.branch}"
    made = git(root, "commit-tree", "-p", head, "-m", message, tree, variables=author)
    return made.stdout.strip()


def about_submodules(
    root: Path, commit: str, names: Sequence[str], *, where: str, how: str
) -> Iterator[str]:
    """Yield in sentences that the files of submodules are not what a commit says.

    `how` is how they get there; git can do nothing where the commit names no address of theirs.
    """
    listed = git(
        root, "config", "--blob", f"{commit}:.gitmodules", "-z", "--get-regexp",
        r"^submodule\..*\.path$", check=False,
    ).stdout  # fmt: skip
    addressed = {entry.partition("\n")[2] for entry in listed.split("\0")}
    known = [name for name in names if name in addressed or name.startswith('"')]
    nested = [name for name in names if name not in known]
    if known:
        yield (
            f"The files of these submodules {where} are not what the commit says: {some(known)}. "
            f"{how}"
        )
    if nested:
        yield (
            f"These folders are repositories of their own, so their files are not {where}: "
            f"{some(nested)}. The project records only one commit of each. To keep their files: "
            "move the .git in each away, then: git rm --cached FOLDER, git add FOLDER, and commit"
        )


def is_ancestor(root: Path, commit: str, of: str) -> bool:
    """Return whether `of` contains the commit; not when the commit is unknown here."""
    return git(root, "merge-base", "--is-ancestor", commit, of, check=False).returncode == 0


def is_known(root: Path, commit: str) -> bool:
    """Return whether the commit is in this repository."""
    return git(root, "cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0


def run_script_here(root: Path, name: str, *arguments: str) -> Result:
    """Run a script of `far/login` at the top of the repository here, and return what it printed.

    It is git that starts sh: on Windows, git brings the only one that there is.
    """
    command = git_command("-C", str(root), "-c", "alias.lab-script=!sh", "lab-script", "-s", "lab")
    text = script_input(script(name), *arguments)
    done = processes.run(command, input=text, variables=git_variables())
    return replace(done, stdout=done.stdout.rpartition(SCRIPT_BEGINS)[2])


def git(
    root: Path,
    *arguments: str,
    check: bool = True,
    variables: Mapping[str, str] | None = None,
) -> Result:
    """Run git in `root`, with further environment variables; its messages are in English.

    Every git that works in a repository here is started by this function or by `git_through`.
    With `check` a failing command raises LabError in git's words.
    """
    command = git_command("-C", str(root), *arguments)
    result = processes.run(command, variables=git_variables(variables))
    if check and result.returncode != 0:
        raise _failed(arguments[0], result)
    return result


def is_tracked(root: Path, name: str) -> bool:
    """Return whether git tracks a file of this name, or something in a folder of it."""
    return bool(git(root, "ls-files", "--", f":(literal){name}", check=False).stdout)


def git_through(
    client: Client, root: Path, command: str, folder: str, *arguments: str, program: str = ""
) -> ThroughSsh:
    """Push or fetch (`command`) by ssh, from or to a folder on the machine; show how far it is.

    `arguments` are options, and what comes or goes; `program` is what is started there in the place
    of git's other half. Whatever comes of it is returned.
    """
    address = f"{client.alias}:{folder}"
    half = "receive-pack" if command == "push" else "upload-pack"
    options = [argument for argument in arguments if argument.startswith("--")]
    refs = [argument for argument in arguments if not argument.startswith("--")]
    words = git_command(
        "-C", str(root), *_to_itself(address), "-c", "protocol.ssh.allow=always",
        command, "--progress", f"--{half}={program or _clean_program(half)}", *options, "--",
        address, *refs,
    )  # fmt: skip
    with ssh_log(client.proxy_error) as own:
        *ssh, _, _ = client.with_options("BatchMode=yes").command(flags=own.flags)
        # git adds the machine itself, which is no server of Git LFS.
        variables = git_variables({"GIT_SSH_COMMAND": shlex.join(ssh), "GIT_SSH_VARIANT": "ssh"})
        variables |= {"GIT_LFS_SKIP_PUSH": "1"}
        with (
            processes.running(
                words, input="", variables=variables, output_as_errors=True
            ) as started,
            told_of_waiting(client, answered=lambda: bool(started.errors())),
            steps() as shown,
        ):
            begun = time.monotonic()
            while not started.ends_within(_LOOK_EVERY):
                said = started.errors()
                if program and _OF_OURS not in said and time.monotonic() > begun + _PATIENCE:
                    started.kill()  # what comes next tells why nobody answers
                # A carriage return ends a line of progress.
                line = (said.splitlines() or [""])[-1]
                shown.line("" if line.startswith(_OF_OURS) else line)
                if _NO_HOOK.search(said):
                    started.kill()  # git 2.39 waits for the machine then, which waits for git
            done = Result(returncode=started.wait(), stdout="", stderr=started.errors())
        return own.through(done)


def _to_itself(address: str) -> list[str]:
    """Return the settings with which no url.*.insteadOf leads elsewhere: the longest one counts."""
    if "=" in address:  # git would end the setting's name there
        return []
    if address != address.lower() and is_old(_version(), oldest=_KEEPS_CAPITALS):
        return []
    names = ("insteadOf", "pushInsteadOf")
    return [word for name in names for word in ("-c", f"url.{address}.{name}={address}")]


def has_hook(root: Path, name: str) -> bool:
    """Return whether git runs a hook of this name here."""
    place = git(root, "rev-parse", "--git-path", f"hooks/{name}").stdout.rstrip("\n")
    return os.access(root / place, os.X_OK)


def _clean_program(name: str) -> str:
    """Return the command by which ssh starts git's other half, in words of every login shell.

    A start-up file on the machine may set variables that lead that to another repository, too. Its
    messages are in English; of the locale, nothing else changes for a hook.
    """
    return f"sh -c 'unset {UNSET}; exec env LC_MESSAGES=C git {name} \"$1\"' sh"


def _changes(root: Path) -> tuple[str, ...]:
    status = git(
        root, "status", "--porcelain", "--untracked-files=all",
        "--ignore-submodules=all", "-z",
    )  # fmt: skip
    return tuple(line[3:] for line in status.stdout.split("\0")[:-1])


def _ignores(root: Path, name: str) -> bool:
    """Return whether git ignores a file or folder; to exclude it once more is a fault for git."""
    return git(root, "check-ignore", "--quiet", "--", name, check=False).returncode == 0


def _failed(command: str, result: Result) -> LabError:
    return git_failure(result.stderr or result.stdout, what=f"git {command} here", alias="")
