"""A project with data/ on the laptop and on the machine."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from openssh_server import Account
from tool_helpers import without_waiting

from ml_remote import cli
from ml_remote.ssh.client import Client

__all__ = [
    "MEBIBYTE",
    "NEW",
    "OLD",
    "BothSides",
    "contents",
]


OLD = 1_600_000_000
NEW = 1_700_000_000
MEBIBYTE = 2**20


@dataclass(frozen=True)
class BothSides:
    """A project on the laptop, the same on the machine, and what `lab` has said."""

    root: Path
    account: Account
    machine: Client
    folder: Path
    """The project's folder on the machine."""
    capsys: pytest.CaptureFixture[str]

    @property
    def here(self) -> Path:
        return self.root / "data"

    @property
    def there(self) -> Path:
        return self.folder / "data"

    def lab(self, *words: str) -> tuple[int, str]:
        """Run `lab data`; return its exit code and all that it said."""
        return self.run("data", *words)

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command of `lab`; return its exit code and all that it said."""
        code = cli.main(list(words), root=self.root)
        said = self.capsys.readouterr()
        return code, said.out + without_waiting(said.err)

    def does(self, *words: str) -> str:
        """Run `lab data`, which must not fail; return what it said."""
        code, said = self.lab(*words)
        assert code == 0, said
        return said

    def status(self, *words: str) -> dict[str, int]:
        """Return how many files are in each state that any is in."""
        said = json.loads(self.does("status", "--json", *words))
        return {
            state: value["files"]
            for state, value in said.items()
            if isinstance(value, dict) and value["files"]
        }

    def write(self, side: Path, name: str, content: bytes = b"x", *, time: int = NEW) -> Path:
        """Write a file on a side."""
        path = side / name
        if side == self.there:
            self.account.write(str(path.relative_to(self.account.home)), "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (time, time))
        return path

    def settings(self, text: str = "") -> None:
        (self.root / "lab.local.toml").write_text(text)

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.root), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
