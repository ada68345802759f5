"""What git's messages become; those that a real git says in test_reasons.py are not repeated here.

The texts are those that git 2.11 to 2.51, git-lfs 3 and common servers print.
"""

from __future__ import annotations

import pytest

from ml_remote.errors import LabError, RemoteCommandError
from ml_remote.transfer.git_errors import cleaned_output, git_failure

PUSH = """\
Enumerating objects: 5, done.
Counting objects:  33% (1/3)\rCounting objects: 100% (3/3)\rCounting objects: 100% (3/3), done.
Delta compression using up to 8 threads
Compressing objects: 100% (2/2), done.
Writing objects: 100% (3/3), 280 bytes | 280.00 KiB/s, done.
Total 3 (delta 0), reused 0 (delta 0), pack-reused 0
remote: Resolving deltas: 100% (1/1), completed with 1 local object.\x1b[K
remote: line one\x1b[K
remote: \x1b[31mline two\x1b[m        \x1b[K
remote: \x1b]52;c;eA==\x07
hint: Updates were rejected
hint: Updates were rejected
** WARNING: connection is not using a post-quantum key exchange algorithm.
To machine:x
 ! [remote rejected] abc -> refs/lab/coming/abc (pre-receive hook declined)
error: failed to push some refs to 'machine:x'
"""


def test_noise_is_left_out_and_the_rest_is_kept() -> None:
    assert cleaned_output(PUSH) == [
        "remote: line one",
        "remote: line two",
        "remote: \x1b]52;c;eA==\x07",  # made printable where it is shown
        "hint: Updates were rejected",
        " ! [remote rejected] abc -> refs/lab/coming/abc (pre-receive hook declined)",
    ]
    assert cleaned_output("error: failed to push some refs to 'x'\n") == [
        "error: failed to push some refs to 'x'"
    ]
    assert cleaned_output("\n") == []
    many = cleaned_output("\n".join(f"remote: line {number}" for number in range(500)))
    assert len(many) == 61
    assert many[30] == "... 440 more lines"
    assert many[-1] == "remote: line 499"


MESSAGES = [
    (
        "error: file write error: No space left on device",
        True,
        "disk of gpu",
        "Free disk space",
    ),
    ("remote: fatal: write error: No space left on device", False, "disk of gpu", "disk space"),
    (
        "fatal: write error: No space left on device",
        False,
        "disk of this computer",
        "disk space",
    ),
    ("error: unable to write file x: Disk quota exceeded", True, "quota on gpu", "disk space"),
    (
        "fatal: 'main' is already checked out at '/home/ada/other'",
        True,
        "another worktree of the repository on gpu",
        "git worktree remove",
    ),
    (
        "fatal: 'main' is already used by worktree at '/home/ada/other'",
        True,
        "another worktree",
        "git worktree remove",
    ),
    (
        "remote: error: refusing to update checked out branch: refs/heads/main",
        False,
        "gpu does not accept commits",
        "receive.denyCurrentBranch",
    ),
    (
        " ! [rejected]        main -> main (non-fast-forward)",
        False,
        "commits that are not here",
        "lab pull",
    ),
    ("error: unknown option `no-overwrite-ignore'", True, "git on gpu is too old", "newer"),
    (
        "Error downloading object: a.bin (4d7a): Smudge error: Error downloading a.bin",
        True,
        "files in Git LFS could not be fetched on gpu",
        "git lfs pull",
    ),
    (
        "fatal: detected dubious ownership in repository at '/srv/x'",
        True,
        "belongs to another user",
        "safe.directory",
    ),
    ("error: unable to create file a: File name too long", True, "such a name", "git mv"),
    ("fatal: loose object 4d7a (stored in x) is corrupt", True, "gpu is damaged", "fsck"),
    (
        "fatal: unknown repository extension found: foo",
        True,
        "made by a newer git",
        "newer git",
    ),
    ("fatal: Expected git repo version <= 1, found 5", False, "newer git", "newer git"),
    ("fatal: this operation must be run in a work tree", True, "core.bare", "core.bare false"),
    (
        "error: 'sub/' does not have a commit checked out",
        False,
        "a repository of its own in which nothing is committed",
        ".gitignore",
    ),
    (
        "remote: error: object 4d7a4d7a4d7a4d7a4d7a4d7a4d7a4d7a4d7a4d7a: missingEmail: x",
        False,
        "git on gpu rejects commits with this fault",
        "receive.fsckObjects",
    ),
    (
        "error: external filter 'nosuch' failed",
        False,
        "cannot be run on this computer",
        "Install the program",
    ),
    ("fatal: You have not concluded your cherry-pick", True, "in progress", "git status"),
    (
        "/x/.git/objects/pack: Permission denied",
        True,
        "cannot read or write all files",
        "chown",
    ),
    ("error: quite new", True, "git said:\n  error: quite new", "lab doctor"),
    ("", True, "no reason was given", "lab doctor"),
]


@pytest.mark.parametrize(
    ("text", "is_there", "words", "hint"),
    MESSAGES,
)
def test_message_of_git_becomes_a_sentence_and_a_remedy(
    text: str, is_there: bool, words: str, hint: str
) -> None:
    error = git_failure(text, what="The push", alias="gpu", is_there=is_there)
    assert isinstance(error, RemoteCommandError if is_there else LabError)
    assert words in error.message
    assert text.strip() in error.message
    assert error.hint is not None
    assert hint in error.hint


def test_hook_that_says_what_git_says_is_still_a_hook() -> None:
    said = "remote: No space left on device\n ! [remote rejected] a -> b (update hook declined)"
    assert "a hook of the repository on gpu" in str(git_failure(said, what="It", alias="gpu"))
    said = "bandit: hash algorithm md5 is unsafe\nerror: failed to push some refs to 'gpu:lab'"
    refused = str(git_failure(said, what="It", alias="gpu", has_hook=True))
    assert "the hook pre-push of the repository here refused it" in refused
