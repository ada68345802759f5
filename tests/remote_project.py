"""A project on the laptop and the folder on the machine that it goes to, for tests of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from baking import BakedProject
from openssh_server import Laptop, OpenSSHServer
from tool_helpers import LocalProject

from ml_remote.ssh.client import Client

__all__ = ["FOLDER", "RemoteProject", "new_remote_project"]

FOLDER = "Projekte/mein Labör's"


@dataclass(frozen=True)
class RemoteProject(LocalProject):
    """A project here, and where it is on a real OpenSSH server."""

    server: OpenSSHServer
    client: Client
    name: str
    """The folder there, relative to the home directory."""

    @property
    def folder(self) -> Path:
        """The folder there."""
        return self.server.account.home / self.name

    def git(self, *arguments: str) -> str:
        """Run git here."""
        return self.project.run("git", *arguments).stdout.strip()

    def commit(self, name: str, text: str) -> str:
        """Commit everything here, a file with this text included, and return the commit."""
        (self.project.path / name).write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Change {name}")
        return self.git("rev-parse", "HEAD")

    def push(self, *options: str) -> None:
        """Send what is committed here; it must succeed."""
        done = self.lab("push", *options)
        assert done.returncode == 0, done.stderr

    def there(self, *arguments: str) -> str:
        """Run git in the project's folder there, as the account."""
        identity = ("-c", "user.name=Tess There", "-c", "user.email=there@example.com")
        return self.client.run("git", "-C", self.name, *identity, *arguments).stdout.strip()

    def write_there(self, name: str, text: str) -> None:
        """Write a file into the project's folder there."""
        self.server.account.write(f"{self.name}/{name}", text)

    def have_environment(self, python: str = '#!/bin/sh\nexec python3 "$@"\n') -> None:
        """Give the project there an environment that has nothing but this script as its Python."""
        self.write_there(".lab/envs/one/bin/python", python)
        (self.folder / ".lab/envs/one/bin/python").chmod(0o755)
        (self.folder / ".venv").symlink_to(".lab/envs/one")

    def commit_there(self, name: str, text: str) -> str:
        """Commit everything there, a file with this text included, and return the commit."""
        self.write_there(name, text)
        self.there("add", "--all")
        self.there("commit", "--quiet", "--message", f"Change {name} there")
        return self.there("rev-parse", "HEAD")

    def assert_same(self) -> None:
        """Check that the machine has checked out what is committed here, and nothing differs."""
        for name in self.git("ls-files", "-z").split("\0")[:-1]:
            assert (self.folder / name).read_bytes() == (self.project.path / name).read_bytes()
        assert self.there("status", "--porcelain", "--untracked-files=no") == ""
        assert self.there("rev-parse", "HEAD") == self.git("rev-parse", "HEAD")


def new_remote_project(
    bake: Callable[..., BakedProject],
    laptop: Laptop,
    server: OpenSSHServer,
    *,
    folder: str = FOLDER,
    alias: str = "machine",
    destination: Path | None = None,
) -> RemoteProject:
    """Bake a project whose lab.toml names `folder`, and let `laptop` in on the machine by a key."""
    where = {} if destination is None else {"destination": destination}
    project = bake(ssh_alias=alias, copied=True, **where)
    laptop.connect_to(server, alias=alias)
    client = Client(alias=alias, directory=laptop.ssh)
    remote_project = RemoteProject(project=project, server=server, client=client, name=folder)
    settings = project.read("lab.toml")
    remote_project.commit(
        "lab.toml", settings.replace('folder = "handwriting-lab"', f'folder = "{folder}"')
    )
    return remote_project
