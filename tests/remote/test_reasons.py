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
from needs import need_root
from openssh_server import Laptop, OpenSSHServer

from ml_remote.context import Context
from ml_remote.errors import LabError
from ml_remote.project import Project
from ml_remote.ssh.client import Client
from ml_remote.transfer.pulling import pull
from ml_remote.transfer.pushing import push

pytestmark = pytest.mark.slow

HOOK = "#!/bin/sh\necho 'no secrets, please'\necho 'see CONTRIBUTING' >&2\nexit 1\n"
# The hook that `git lfs install` writes, where git-lfs is missing; a stand-in for git-lfs.
LFS_HOOK = (
    '#!/bin/sh\ncommand -v git-lfs-not-here >/dev/null 2>&1 || { echo >&2 "\\nThis repository is '
    "configured for Git LFS but 'git-lfs' was not found on your path. If you no longer wish to use "
    "Git LFS, remove this hook by deleting the 'pre-push' file in the hooks directory.\\n\"; "
    "exit 2; }\n"
)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@dataclass(frozen=True)
class Two:
    """A project here, and its folder on the machine, where it was pushed once."""

    root: Path
    client: Client
    server: OpenSSHServer

    @property
    def folder(self) -> Path:
        """The folder there."""
        return self.server.account.home / self.root.name

    def git(self, *words: str) -> str:
        """Run git here."""
        command = ["git", *words]
        done = subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def there(self, script: str) -> str:
        """Run a script in the folder there, as the account."""
        identity = "git config --global user.name T && git config --global user.email t@example.com"
        return self.client.run_script(
            f'{identity}\ncd "$1" || exit\n{script}', self.root.name
        ).stdout

    def commit(self, name: str = "new.txt", text: str = "new\n") -> None:
        """Commit a file here."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", "--message", f"Change {name}")

    def hook(self, folder: Path, name: str, text: str = HOOK) -> None:
        """Write a hook into a repository, here or there."""
        path = folder / ".git" / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def push(self) -> None:
        """Run `lab push`."""
        push(Context(project=Project(root=self.root)))

    def pull(self) -> None:
        """Run `lab pull`."""
        pull(Context(project=Project(root=self.root)))


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Laptop, OpenSSHServer]]:
    """One machine for all rows, and the laptop that logs in to it."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="laptop-"))
        laptop = openssh_server.laptop(Path(folder))
        account = stack.enter_context(openssh_server.account())
        server = stack.enter_context(openssh_server.openssh_server(account))
        account.authorize(laptop.make_key("id_ed25519").with_suffix(".pub").read_text())
        laptop.pin_host_key(server)
        laptop.config.write_text(
            f"Host machine\n  HostName 127.0.0.1\n  Port {server.port}\n  User {account.user}\n"
            f"  ControlMaster auto\n  ControlPersist 1m\n  ControlPath {laptop.ssh}/%C\n"
            + laptop.config.read_text()
        )
        yield laptop, server
        Client(alias="machine", directory=laptop.ssh).close()


@pytest.fixture
def two(
    shared: tuple[Laptop, OpenSSHServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Two:
    """A small project that was pushed once."""
    laptop, server = shared
    monkeypatch.setenv("LAB_SSH_DIR", str(laptop.ssh))
    root = tmp_path / tmp_path.name
    root.mkdir()
    made = Two(root=root, client=Client(alias="machine", directory=laptop.ssh), server=server)
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("lab.toml", f'[remote]\nalias = "machine"\nfolder = "{root.name}"\n')
    made.push()
    return made


def shallow(two: Two) -> None:
    two.commit()
    two.git("clone", "--quiet", "--depth=1", f"file://{two.root}", f"{two.root}.shallow")
    two.root.rename(f"{two.root}.whole")
    Path(f"{two.root}.shallow").rename(two.root)
    two.there("rm -rf .git && git init --quiet")


def partial(two: Two) -> None:
    origin = Path(f"{two.root}.origin")
    two.git("config", "uploadpack.allowFilter", "true")
    two.root.rename(origin)
    (origin / "large.txt").write_text("large\n")
    for words in (["add", "."], ["commit", "--quiet", "-m", "Large"]):
        subprocess.run(["git", *words], cwd=origin, check=True)
    subprocess.run(
        ["git", "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{origin}",
         two.root], check=True,
    )  # fmt: skip
    two.git("restore", "--staged", ".")
    two.git("restore", "lab.toml")
    origin.rename(f"{origin}.gone")


def another_owner(folder: Path, name: str = ".") -> None:
    need_root("give files to another user")
    subprocess.run(["chown", "-R", "--no-dereference", "0:0", folder / name], check=True)
    subprocess.run(["chmod", "-R", "a+rX", folder / name], check=True)


def foreign_here(two: Two) -> None:
    need_root("give files to another user")
    subprocess.run(["chown", "-R", "12345", two.root], check=True)


def read_only(two: Two) -> None:
    need_root("mount a disk")
    two.commit()
    kept = two.folder.with_name(f"{two.folder.name}.kept")
    two.folder.rename(kept)
    two.folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(two.folder)]
    subprocess.run(mount, check=True)
    subprocess.run(["cp", "-a", f"{kept}/.", two.folder], check=True)
    user = two.server.account.user
    subprocess.run(["chown", user, two.folder], check=True)
    subprocess.run(["mount", "-o", "remount,ro", two.folder], check=True)


def corrupt(two: Two) -> None:
    two.there('f=.git/objects/$(git rev-parse HEAD | sed "s,..,&/,"); chmod u+w "$f"; : >"$f"')
    two.commit()


def pull_while_merging(two: Two) -> None:
    two.there("echo there >there.txt && git add . && git commit --quiet -m There")
    two.git("checkout", "--quiet", "-b", "other")
    two.git("commit", "--quiet", "--allow-empty", "--message", "Other")
    two.git("checkout", "--quiet", "main")
    two.git("merge", "--quiet", "--no-ff", "--no-commit", "other")


def rebase_here(two: Two) -> None:
    two.commit("a.txt", "1\n")
    two.git("checkout", "--quiet", "-b", "other", "HEAD~1")
    two.commit("a.txt", "2\n")
    subprocess.run(["git", "rebase", "main"], cwd=two.root, check=False, capture_output=True)


def rebase_there(two: Two) -> None:
    two.there(
        "echo 1 >a && git add a && git commit -qm 1 && git checkout -qb o HEAD~1 && "
        "echo 2 >a && git add a && git commit -qm 2; git rebase -q main >/dev/null 2>&1; "
        "git reset -q --hard"
    )
    two.commit()


def strange_name(two: Two) -> None:
    two.git("config", "core.protectNTFS", "false")
    two.commit("git~1/a.txt")


def after(*steps: Callable[[Two], object]) -> Callable[[Two], None]:
    def prepare(two: Two) -> None:
        for step in steps:
            step(two)

    return prepare


def there(script: str) -> Callable[[Two], object]:
    return lambda two: two.there(script)


def new(two: Two) -> None:
    two.commit()


def on_branch(name: str) -> Callable[[Two], object]:
    return lambda two: two.git("checkout", "--quiet", "-b", name)


def no_branch_a(two: Two) -> None:
    two.git("branch", "-D", "a")


@dataclass(frozen=True)
class Row:
    """What is prepared, and the words of the message (`|` between them) and of the next step."""

    prepare: Callable[[Two], None]
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
        "on machine another git is at work|index.lock",
        "remove the file that git names",
    ),
    "lock of a branch there": Row(
        after(new, there("touch .git/refs/heads/main.lock")),
        "on machine another git is at work|main.lock",
        "remove the file that git names",
    ),
    "index.lock here": Row(
        after(
            there("echo 1 >a && git add a && git commit -qm 1"),
            lambda two: (two.root / ".git" / "index.lock").touch(),
        ),
        "on this computer another git is at work|index.lock",
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
        "a branch cannot have the name of a folder|cannot create 'refs/heads/a/b'",
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
        "cannot write all files of the repository on machine|unpacker error",
        "chown",
    ),
    "read-only there": Row(read_only, "on machine is read-only", "another folder"),
    "damaged there": Row(corrupt, "the repository on machine is damaged", "git fsck"),
    "too large": Row(
        after(new, there("git config receive.maxInputSize 1")),
        "machine takes no push of this size|maximum allowed size",
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
        "leads to a repository that is not there any more|/nowhere/x",
        "Move that file away",
    ),
    "name that the machine refuses": Row(
        strange_name, "file system of machine cannot hold|invalid path 'git~1/a.txt'", "git mv"
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
    error = caught.value
    for words in row.words.split("|"):
        assert words in error.message
    assert error.hint is not None
    assert row.hint in error.hint
    for noise in ("failed to push some refs", "objects: ", "ssh cannot read"):
        assert noise not in error.message


def test_what_is_no_obstacle_is_none(two: Two, capsys: pytest.CaptureFixture[str]) -> None:
    two.there("git config receive.denyCurrentBranch refuse")
    two.commit(".gitattributes", "*.bin filter=lfs\n")
    two.commit("a.bin", POINTER)
    two.push()
    said = capsys.readouterr()
    assert "Pushed" in said.out
    assert "Git LFS keeps the content of these files elsewhere" in said.err
    assert "a.bin" in said.err
    # What a pull of the branch `a` has left is no obstacle for `a/b`.
    two.git("checkout", "--quiet", "-b", "a/b")
    two.git("update-ref", "refs/lab/a", "HEAD")
    two.push()
    two.there("echo 1 >a && git add a && git commit -qm 1")
    two.pull()
    assert (two.root / "a").read_text() == "1\n"
