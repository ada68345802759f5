"""A repository on the laptop and one on the machine, and the states that stop a push or pull."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from needs import need_root
from openssh_server import OpenSSHServer

from ml_remote.context import Context
from ml_remote.project import Project
from ml_remote.ssh.client import Client
from ml_remote.transfer.pulling import pull
from ml_remote.transfer.pushing import push

__all__ = [
    "HOOK",
    "Two",
    "after",
    "another_owner",
    "corrupt",
    "foreign_here",
    "here",
    "new",
    "no_branch_a",
    "on_branch",
    "partial",
    "pull_while_merging",
    "read_only",
    "rebase_here",
    "rebase_there",
    "shallow",
    "strange_name",
    "there",
]


HOOK = "#!/bin/sh\necho 'no secrets, please'\necho 'see CONTRIBUTING' >&2\nexit 1\n"


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


def here(script: str) -> Callable[[Two], object]:
    return lambda two: subprocess.run(["sh", "-c", script], cwd=two.root, check=True)


def there(script: str) -> Callable[[Two], object]:
    return lambda two: two.there(script)


def new(two: Two) -> None:
    two.commit()


def on_branch(name: str) -> Callable[[Two], object]:
    return lambda two: two.git("checkout", "--quiet", "-b", name)


def no_branch_a(two: Two) -> None:
    two.git("branch", "-D", "a")
