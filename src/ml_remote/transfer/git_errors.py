"""Why git failed: the full messages of git and its hooks without noise, and what to do.

git's own last line is nearly always "failed to push some refs"; the reason is above it. What the
machine said has the prefix `remote: `, and is about the machine; the rest is about where git ran.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import LabError, RemoteCommandError
from ..ssh.messages import NOISE

__all__ = ["REASONS", "cleaned_output", "git_failure", "has_reason"]

_MOST = 60  # lines that are shown
_PROGRESS = re.compile(
    r"(?:remote: )?(?:(?:Enumerating|Counting|Compressing|Writing|Receiving|Resolving|Unpacking|"
    r"Checking|Filtering|Updating|Finding|Delta compression|Total|Auto packing)\b.*"
    r"(?:\d+%|, done\.?|\(delta \d+\)|objects|threads|files|reused).*)"
)
# Said whatever the reason is; left out where anything else was said.
_EMPTY = re.compile(
    r"error: failed to push some refs to .*|fatal: the remote end hung up unexpectedly|"
    r"fatal: [Cc]ould not read from remote repository\.|and the repository exists\.|"
    r"Please make sure you have the correct access rights|To \S.*|From \S.*|"
    r"send-pack: unexpected disconnect.*|fetch-pack: unexpected disconnect.*|fatal: early EOF|"
    r"error: (?:remote )?unpack failed: (?:unpack-objects|index-pack) abnormal exit|"
    r"fatal: (?:index-pack|unpack-objects|fetch-pack): .* failed|remote:"
)
_GITS_OWN = ("fatal: ", "remote: ", " ! ")
_OF_THE_OTHER = re.compile(
    r"^ ! \[remote rejected\]|on the remote side|\bhooks/(?:pre-receive|update)\b|\./packed-refs"
)
_ERASE = re.compile(r"\x1b\[[0-9;]*[Km]")  # the rest of a line, and colours


@dataclass(frozen=True)
class Reason:
    """A message of git, what it means, and what to do; {place} is where it happened."""

    pattern: str
    sentence: str
    hint: str


_AGAIN = "then run the command again"
# An earlier one wins: causes come before their consequences.
REASONS = (
    Reason(
        r"cannot (?:run|exec) '?\S*hooks/",
        "a hook of the repository on {place} cannot be started: the program that its first line "
        "names is missing, or that line ends as on Windows.",
        f"Correct the hook that git names (sed -i 's/\\r$//' for its line ends), {_AGAIN}",
    ),
    Reason(
        r"\((?:[\w-]+ )?hook declined\)|ref updates aborted by hook",
        "a hook of the repository on {place} refused the commits.",
        f"Do what the hook asks for, {_AGAIN}",
    ),
    Reason(
        r"(?i)disk quota exceeded|quota exceeded",
        "your quota on {place} is used up.",
        f"Free disk space there (lab status shows your quotas), {_AGAIN}; it continues where it "
        "stopped",
    ),
    Reason(
        r"Read-only file system",
        "the file system of the folder on {place} is read-only.",
        "Ask whoever runs it, or choose another folder: folder in [remote] of lab.toml",
    ),
    Reason(
        r"detected dubious ownership|unsafe repository",
        "the folder on {place} belongs to another user, so git refuses to work in it.",
        "If you trust what is in it, run there the command that git names: "
        "git config --global --add safe.directory FOLDER",
    ),
    Reason(
        r"\.lock': File exists|Another git process seems to be running",
        "another git is running in the repository on {place}, or a killed one left its lock.",
        f"Look there for a running git; if there is none, remove the file that git names, {_AGAIN}",
    ),
    Reason(
        r"insufficient permission for adding an object|"
        r"(?:unable to|could not|cannot|failed to) .*: Permission denied|"
        r"\.git/\S*: Permission denied|cannot lock ref .*: unable to create directory for |"
        r"unable to create temporary object directory",
        "you cannot read or write all files of the repository on {place}: some belong to another "
        "user, often root.",
        'On the machine, as administrator: sudo chown -R "YOUR NAME" FOLDER/.git',
    ),
    Reason(
        r"No space left on device|file write error|unable to write (?:file|loose|sha1)",
        "the disk of {place} is full.",
        f"Free disk space (lab status shows the machine's disk), {_AGAIN}; it continues where it "
        "stopped",
    ),
    Reason(
        r"git: 'lfs' is not a git command|'git-lfs' was not found|git-lfs: (?:command )?not found|"
        r"git-lfs.*: No such file|cannot (?:run|spawn) git-lfs",
        "the repository uses Git LFS, and git-lfs is not installed on {place}.",
        "Install it there (Debian and Ubuntu: sudo apt install git-lfs; without an administrator: "
        "conda install git-lfs), then: git lfs install",
    ),
    Reason(
        r"smudge filter lfs failed|Error downloading object|git-lfs filter-process.*failed|"
        r"\[404\] Object does not exist|Unable to find source for object|LFS: .*|batch response: ",
        "files in Git LFS could not be fetched on {place}.",
        "On the machine, in the project's folder: git lfs pull (the address of the LFS server: "
        "git config lfs.url ADDRESS)",
    ),
    Reason(
        r"external filter '.*' failed|(?:clean|smudge) filter '.*' failed",
        "a filter that .gitattributes or git's settings name cannot be run on {place}.",
        f"Install the program that git names there, {_AGAIN}",
    ),
    Reason(
        r"bad config (?:line|file|value|variable)|bad (?:boolean|numeric) config value",
        "git cannot read its settings on {place}.",
        f"On the machine, correct that line in the file that git names, {_AGAIN}",
    ),
    Reason(
        r"unknown repository extension|Expected git repo version",
        "the repository on {place} was made by a newer git than the one there.",
        "Install a newer git there (without an administrator: conda install git)",
    ),
    Reason(
        r"must be run in a work tree",
        "the repository on {place} is set to have no working tree (core.bare).",
        f"If it has one: git config core.bare false in its folder, {_AGAIN}",
    ),
    Reason(
        r"does not have a commit checked out",
        "a folder on {place} is a repository of its own in which nothing is committed.",
        f"Commit in it, move its .git away, or name it in .gitignore, {_AGAIN}",
    ),
    Reason(
        r"fsck error in packed object|object [0-9a-f]{40,64}: \w+: ",
        "git on {place} rejects commits with this fault (fsckObjects).",
        "Make that commit again (git rebase); or in the folder on the machine: git config "
        "receive.fsckObjects false",
    ),
    Reason(
        r"index file smaller than expected|bad index file|index file corrupt|"
        r"bad signature 0x[0-9a-f]+",
        "the index of the repository on {place} is damaged; files and commits are not.",
        f"On the machine, in the project's folder: move .git/index away, then git reset, {_AGAIN}",
    ),
    Reason(
        r"shallow update not allowed|shallow (?:roots|file)|(?:from|to) (?:a )?shallow",
        "a repository is a shallow clone, which has only a part of its history.",
        f"Fetch the rest where the clone was made: git fetch --unshallow, {_AGAIN}",
    ),
    Reason(
        r"could not fetch .* from promisor remote|promisor remote",
        "the repository on {place} is a partial clone, and objects that it needs did not come.",
        f"On the machine, with a connection to its origin: git fetch --refetch, {_AGAIN}",
    ),
    Reason(
        r"'refs/\S+' exists; cannot create 'refs/\S+'|there are still refs under|"
        r"directory/file conflict|refname conflict",
        "a branch on {place} has the name of a folder of branches (a and a/b).",
        "Rename one of the two: git branch -m OLD NEW",
    ),
    Reason(
        r"mismatched algorithms|does not support this repository's hash algorithm|"
        r"object ?format|hash algorithm",
        "the repositories of both sides name commits by different hashes (sha1 and sha256).",
        "Use the same on the machine: move that folder away, then there: git init "
        "--object-format=FORMAT FOLDER",
    ),
    Reason(
        r"exceeds maximum allowed size|receive\.maxInputSize|pack (?:is )?too large",
        "{place} does not accept a push of this size.",
        "Remove large files from the commits (data belongs in data/), or raise "
        "receive.maxInputSize there",
    ),
    Reason(
        r"refusing to update checked out branch|branch is currently checked out",
        "{place} does not accept commits for its checked-out branch.",
        "On the machine: git config receive.denyCurrentBranch updateInstead",
    ),
    Reason(
        r"already (?:checked out|used by worktree) at",
        "the branch is checked out in another worktree of the repository on {place}.",
        "On the machine, remove that worktree (git worktree remove FOLDER), or switch it to "
        "another branch",
    ),
    Reason(
        r"deny updating a hidden ref",
        "the settings of git on {place} forbid the names under which lab sends commits.",
        "On the machine, remove refs/lab from transfer.hideRefs and receive.hideRefs",
    ),
    Reason(
        r"non-fast-forward|fetch first|tip of your current branch is behind",
        "{place} has commits that are not here.",
        "lab pull",
    ),
    Reason(
        r"(?:object file|loose object|index file|pack).*(?:is empty|corrupt)|bad signature|"
        r"inflate: |bad object|unable to read (?:tree |sha1 )?[0-9a-f]{40}|"
        r"repository corruption on|unexpected line in \S*packed-refs|"
        r"[Nn]ot a git repository \(or any|missing (?:blob|tree|commit)|"
        r"missing necessary objects|did not receive expected object|unable to unpack|"
        r"packfile .* (?:cannot be accessed|does not match)|[Cc]ould not read [0-9a-f]{40}",
        "the repository on {place} is damaged.",
        "To see what is missing: git fsck --full. To create it again, move the folder away on "
        "the machine, then: lab push",
    ),
    Reason(
        r"invalid path '|unable to create file .*: (?:Invalid argument|File name too long)|"
        r"paths have collided|cannot create directory at .*: Invalid argument|Filename too long",
        "the file system of {place} cannot store a file with such a name.",
        f"Rename the file (git mv OLD NEW), commit, {_AGAIN}",
    ),
    Reason(
        r"unknown (?:option|switch) `|unrecognized argument|is not a git command|^usage: git",
        "git on {place} is too old for lab.",
        "Install a newer git there (without an administrator: conda install git)",
    ),
    Reason(
        r"You have not concluded your|in the middle of|is in progress|MERGE_HEAD exists|"
        r"cannot switch branch while|needs merge|unmerged files",
        "on {place} a merge, rebase or bisect is in progress.",
        "Finish or abort it there: git status names the command",
    ),
    Reason(
        r"[Nn]ot a git repository: |invalid gitfile|gitdir file does not exist",
        "the file .git on {place} points to a repository that no longer exists.",
        "Move that file away there, then: lab push; or restore that repository",
    ),
)


def git_failure(
    stderr: str, *, what: str, alias: str, is_there: bool = False, has_hook: bool = False
) -> LabError:
    """Return the error that says why git failed, with all that it and its hooks said.

    `what` is what it was doing, `is_there` whether git itself ran on the machine. `has_hook` is
    whether the repository here has a hook pre-push: git does not say that this was what refused.
    """
    lines = cleaned_output(stderr)
    said = "\n".join(f"  {line}" for line in lines)
    full = f"\n{said}" if lines else ""
    error = RemoteCommandError if is_there else LabError
    by_hook = has_hook and not any(line.startswith(_GITS_OWN) for line in lines)
    found = _reason(lines, alias=alias, is_there=is_there, by_hook=by_hook)
    if found is not None:
        reason, place = found
        sentence = reason.sentence.format(place=place)
        return error(f"{what} failed: {sentence}{full}", hint=reason.hint, quoted=tuple(lines))
    if by_hook:
        return LabError(
            f"{what} failed: the hook pre-push of the repository here refused it." + full,
            hint="Do what the hook asks for, then run the command again",
            quoted=tuple(lines),
        )
    return error(
        f"{what} failed: {'no reason was given.' if not lines else 'git said:'}{full}",
        hint="Fix what it names, then run the command again. If you cannot tell: lab doctor",
        quoted=tuple(lines),
    )


def has_reason(stderr: str) -> bool:
    """Return whether git said something that is known."""
    return _reason(cleaned_output(stderr), alias="", is_there=False) is not None


def cleaned_output(stderr: str) -> list[str]:
    """Return what git said, without progress, without what it says each time, each line once."""
    lines = list(dict.fromkeys(_lines(stderr)))
    telling = [line for line in lines if not _EMPTY.fullmatch(line)]
    lines = telling or lines
    if len(lines) > _MOST:
        left_out = f"... {len(lines) - _MOST} more lines"
        lines = [*lines[: _MOST // 2], left_out, *lines[-(_MOST // 2) :]]
    return lines


def _lines(stderr: str) -> Iterator[str]:
    for written in stderr.split("\n"):
        # A carriage return begins the line again, as progress does.
        line = _ERASE.sub("", written.rstrip().rpartition("\r")[2]).rstrip()
        if line and not _PROGRESS.fullmatch(line) and not NOISE.match(line):
            yield line.replace("\t", "    ")


def _reason(
    lines: list[str], *, alias: str, is_there: bool, by_hook: bool = False
) -> tuple[Reason, str] | None:
    """Return the reason that git gave, and where it is so; None if it is not a known one.

    With `by_hook` a hook here refused, which may say what it likes; that of Git LFS is known.
    """
    # What the other half of git says reaches us without the prefix when ssh itself passes it on.
    is_there = is_there or any(_OF_THE_OTHER.search(line) for line in lines)
    # What was refused there because it did not come is missing here.
    is_there = is_there and not any("eof before pack header" in line for line in lines)
    for reason in REASONS:
        for line in lines:
            if by_hook and not line.startswith("error: ") and "LFS" not in reason.sentence:
                continue
            if re.search(reason.pattern, line):
                there = is_there or line.startswith("remote: ")
                return reason, alias if there else "this computer"
    return None
