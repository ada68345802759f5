"""Why a push or a pull was refused: what git and its hooks say is shown, and what to do about it.

Each row is a real git that is refused by what the row prepares, on one real server that all rows
share. What is not installed is marked as a stand-in: it says and refuses what the real one does.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import openssh_server
import pytest
from openssh_server import Laptop, OpenSSHServer
from tool.two_repositories import (
    Two,
    after,
    another_owner,
    corrupt,
    foreign_here,
    here,
    new,
    on_branch,
    partial,
    pull_while_merging,
    read_only,
    rebase_here,
    rebase_there,
    shallow,
    strange_name,
    there,
)

from ml_remote.errors import LabError
from ml_remote.ssh.client import Client

pytestmark = pytest.mark.slow

# The hook that `git lfs install` writes, where git-lfs is missing; a stand-in for git-lfs.
LFS_HOOK = (
    '#!/bin/sh\ncommand -v git-lfs-not-here >/dev/null 2>&1 || { echo >&2 "\\nThis repository is '
    "configured for Git LFS but 'git-lfs' was not found on your path. If you no longer wish to use "
    "Git LFS, remove this hook by deleting the 'pre-push' file in the hooks directory.\\n\"; "
    "exit 2; }\n"
)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Laptop, OpenSSHServer]]:
    """One machine for all rows, and the laptop that logs in to it."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="laptop-"))
        laptop = openssh_server.laptop(Path(folder))
        account = stack.enter_context(openssh_server.account())
        server = stack.enter_context(openssh_server.openssh_server(account))
        laptop.connect_to(server)
        yield laptop, server
        Client(alias="machine", directory=laptop.ssh).close()


@pytest.fixture
def two(
    shared: tuple[Laptop, OpenSSHServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Two:
    """Return a small project that was pushed once."""
    laptop, server = shared
    monkeypatch.setenv("LAB_SSH_DIR", str(laptop.ssh))
    root = tmp_path / tmp_path.name
    root.mkdir()
    made = Two(root=root, client=Client(alias="machine", directory=laptop.ssh), server=server)
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("lab.toml", f'[remote]\nalias = "machine"\nfolder = "{root.name}"\n')
    made.push()
    return made


@dataclass(frozen=True)
class Row:
    """What is prepared, and the words of the message (`|` between them) and of the next step."""

    prepare: Callable[[Two], object]
    words: str
    hint: str
    pulls: bool = False


ROWS = {
    "shallow clone": Row(shallow, "a shallow clone|shallow update not allowed", "--unshallow"),
    "partial clone": Row(partial, "partial clone|promisor", "git fetch --refetch"),
    "hook here": Row(
        after(new, lambda two: two.hook(two.root, "pre-push")),
        "hook pre-push of the repository here refused|no secrets, please|see CONTRIBUTING",
        "what the hook asks for",
    ),
    "hook here without its program": Row(
        after(new, lambda two: two.hook(two.root, "pre-push", "#!/bin/bash\nexec no-such\n")),
        "hook pre-push of the repository here refused|exec: no-such: not found",
        "what the hook asks for",
    ),
    "hook here that logs in elsewhere": Row(
        after(
            new,
            lambda two: two.hook(
                two.root,
                "pre-push",
                "#!/bin/sh\necho 'git@github.com: Permission denied (publickey).' >&2\nexit 1\n",
            ),
        ),
        "hook pre-push of the repository here refused|git@github.com: Permission denied",
        "what the hook asks for",
    ),
    "pre-receive there": Row(
        after(new, lambda two: two.hook(two.folder, "pre-receive")),
        "a hook of the repository on machine refused|remote: no secrets, please|"
        "remote: see CONTRIBUTING",
        "what the hook asks for",
    ),
    "update there": Row(
        after(new, lambda two: two.hook(two.folder, "update")),
        "a hook of the repository on machine refused|remote: no secrets, please",
        "what the hook asks for",
    ),
    "hook of LFS without git-lfs (a stand-in)": Row(
        after(new, lambda two: two.hook(two.root, "pre-push", LFS_HOOK)),
        "git-lfs is not installed on this computer|configured for Git LFS",
        "git lfs install",
    ),
    "LFS there without git-lfs": Row(
        after(
            there(
                "git config filter.lfs.required true; "
                "git config filter.lfs.smudge 'git-lfs smudge -- %f'"
            ),
            lambda two: two.commit(".gitattributes", "*.bin filter=lfs\n"),
            lambda two: two.commit("a.bin", POINTER),
        ),
        "git-lfs is not installed on machine|smudge filter lfs failed",
        "conda install git-lfs",
    ),
    "index.lock there": Row(
        after(new, there("touch .git/index.lock")),
        "another git is running in the repository on machine|index.lock",
        "remove the file that git names",
    ),
    "lock of a branch there": Row(
        after(new, there("touch .git/refs/heads/main.lock")),
        "another git is running in the repository on machine|main.lock",
        "remove the file that git names",
    ),
    "index.lock here": Row(
        after(
            there("echo 1 >a && git add a && git commit -qm 1"),
            lambda two: (two.root / ".git" / "index.lock").touch(),
        ),
        "another git is running in the repository on this computer|index.lock",
        "remove the file that git names",
        pulls=True,
    ),
    "branch below another": Row(
        after(
            on_branch("a"),
            Two.push,
            on_branch("c"),
            lambda two: two.git("branch", "-D", "a"),
            on_branch("a/b"),
            new,
        ),
        "a branch on machine has the name of a folder of branches|cannot create 'refs/heads/a/b'",
        "git branch -m",
    ),
    "push into a folder of another user": Row(
        after(new, lambda two: another_owner(two.folder)),
        "on machine belongs to another user|dubious ownership",
        "safe.directory",
    ),
    "pull from a folder of another user": Row(
        lambda two: another_owner(two.folder),
        "on machine belongs to another user|dubious ownership",
        "safe.directory",
        pulls=True,
    ),
    "folder of another user here": Row(
        foreign_here, "on this computer belongs to another user", "safe.directory"
    ),
    "objects of another user there": Row(
        after(new, lambda two: another_owner(two.folder, ".git/objects")),
        "cannot read or write all files of the repository on machine|unpacker error",
        "chown",
    ),
    "read-only there": Row(read_only, "on machine is read-only", "another folder"),
    "damaged there": Row(corrupt, "the repository on machine is damaged", "git fsck"),
    "too large": Row(
        after(new, there("git config receive.maxInputSize 1")),
        "machine does not accept a push of this size|maximum allowed size",
        "receive.maxInputSize",
    ),
    "sha256 there": Row(
        after(new, there("rm -rf .git && git init --quiet --object-format=sha256")),
        "different hashes|sha256",
        "--object-format",
    ),
    "hidden refs": Row(
        after(new, there("git config transfer.hideRefs refs/lab")),
        "forbid the names|hidden ref",
        "hideRefs",
    ),
    ".git there leads nowhere": Row(
        after(new, there("rm -rf .git && echo 'gitdir: /nowhere/x' >.git")),
        "points to a repository that no longer exists|/nowhere/x",
        "Move that file away",
    ),
    "name that the machine refuses": Row(
        strange_name, "file system of machine cannot store|invalid path 'git~1/a.txt'", "git mv"
    ),
    "hook here with the line endings of Windows": Row(
        after(new, lambda two: two.hook(two.root, "pre-push", "#!/bin/sh\r\nexit 1\r\n")),
        "a hook of the repository on this computer cannot be started|cannot run",
        "Correct the hook",
    ),
    "hook there without its program": Row(
        after(new, lambda two: two.hook(two.folder, "update", "#!/no/such\n")),
        "a hook of the repository on machine cannot be started|cannot run hooks/update",
        "Correct the hook",
    ),
    "hook of references there": Row(
        after(new, lambda two: two.hook(two.folder, "reference-transaction")),
        "a hook of the repository on machine refused|no secrets, please",
        "what the hook asks for",
    ),
    "settings of git there": Row(
        after(new, there("echo [x >>.git/config")),
        "git cannot read its settings on machine|bad config line",
        "correct that line",
    ),
    "settings of the person there": Row(
        after(new, there("echo [x >>~/.gitconfig")),
        "git cannot read its settings on machine|.gitconfig",
        "correct that line",
    ),
    "index damaged there": Row(
        after(new, there("echo junk >.git/index")),
        "the index of the repository on machine is damaged",
        "git reset",
    ),
    "HEAD damaged there": Row(
        after(new, there("echo junk >.git/HEAD")), "repository on machine is damaged", "git fsck"
    ),
    "branch damaged there": Row(
        after(new, there(": >.git/refs/heads/main")),
        "repository on machine is damaged|bad object refs/heads/main",
        "git fsck",
    ),
    "branch damaged here": Row(
        after(new, here(": >.git/refs/heads/main")),
        "repository on this computer is damaged|bad object refs/heads/main",
        "git fsck",
    ),
    "HEAD damaged here": Row(
        after(new, here("echo junk >.git/HEAD")),
        "repository on this computer is damaged",
        "git fsck",
    ),
    "file of a commit missing here": Row(
        after(new, here('rm -f .git/objects/$(git rev-parse HEAD:new.txt | sed "s,..,&/,")')),
        "repository on this computer is damaged|unable to read",
        "git fsck",
    ),
    "file of a commit missing there": Row(
        there(
            "echo 1 >a && git add a && git commit -qm 1 && "
            'rm -f .git/objects/$(git rev-parse HEAD:a | sed "s,..,&/,")'
        ),
        "repository on machine is damaged|unable to read",
        "git fsck",
        pulls=True,
    ),
    "branch in another worktree there": Row(
        after(new, there('git checkout -qb o && git worktree add -q "$PWD.other" main')),
        "in another worktree of the repository on machine|is already checked out at",
        "git worktree remove",
    ),
    "folder there that takes no new file": Row(
        after(new, there("chmod a-w .")),
        "cannot read or write all files of the repository on machine|unable to create file new.txt",
        "chown",
    ),
    "rebase there": Row(rebase_there, "A rebase is in progress on machine", "git status"),
    "rebase here": Row(rebase_here, "A rebase is in progress here", "git rebase --abort"),
    "merge here": Row(
        pull_while_merging, "on this computer a merge, rebase or bisect", "git status", pulls=True
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_reason_is_told_in_full_with_the_remedy(two: Two, row: Row) -> None:
    row.prepare(two)
    try:
        with pytest.raises(LabError) as caught:
            two.pull() if row.pulls else two.push()
    finally:
        if os.path.ismount(two.folder):
            subprocess.run(["umount", two.folder], check=True)
        if two.folder.is_dir():
            two.folder.chmod(0o755)
        (two.server.account.home / ".gitconfig").unlink(missing_ok=True)
    error = caught.value
    for words in row.words.split("|"):
        assert words in error.message
    assert error.hint is not None
    assert row.hint in error.hint
    for noise in ("failed to push some refs", "objects: ", "ssh cannot read"):
        assert noise not in error.message


def test_checkout_that_failed_there_is_taken_back(two: Two) -> None:
    """git 2.39 says that a checkout has worked which could not write its files."""
    before = two.there("git rev-parse HEAD")
    two.commit()
    two.folder.chmod(0o555)
    try:
        with pytest.raises(LabError, match="unable to create file"):
            two.push()
    finally:
        two.folder.chmod(0o755)
    assert two.there("git rev-parse HEAD") == before
    assert two.there("git status --porcelain") == ""
    two.push()
    assert (two.folder / "new.txt").read_text() == "new\n"


def test_what_is_no_obstacle_is_none(two: Two, capsys: pytest.CaptureFixture[str]) -> None:
    two.there("git config receive.denyCurrentBranch refuse")
    two.commit(".gitattributes", "*.bin filter=lfs\n")
    two.commit("a.bin", POINTER)
    two.push()
    said = capsys.readouterr()
    assert "Pushed" in said.out
    assert "These files are in Git LFS" in said.err
    assert "a.bin" in said.err
    # What a pull of the branch `a` has left is no obstacle for `a/b`.
    two.git("checkout", "--quiet", "-b", "a/b")
    two.git("update-ref", "refs/lab/a", "HEAD")
    two.push()
    two.there("echo 1 >a && git add a && git commit -qm 1")
    two.pull()
    assert (two.root / "a").read_text() == "1\n"
