"""Outputs on the machine, and bringing them home."""

from __future__ import annotations

import os
from pathlib import Path

from openssh_server import Account

from ml_remote.machine import Machine
from ml_remote.ssh.client import Client
from ml_remote.transfer.choosing import EVERYTHING, Choice
from ml_remote.transfer.fetching import Fetched, fetch_outputs

__all__ = [
    "FOLDER",
    "MEBIBYTE",
    "bring",
    "files_below",
    "write",
]


FOLDER = "my päper lab"
MEBIBYTE = 2**20


def write(account: Account, path: Path, content: bytes, *, time: int = 1_700_000_000) -> None:
    """Write a file on the machine, as the account's own."""
    account.write(str(path.relative_to(account.home)), "")
    path.write_bytes(content)
    os.utime(path, (time, time))


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def bring(
    client: Client, here: Path, *, folder: str = FOLDER, only: str = "", overwrite: bool = False,
    choice: Choice = EVERYTHING,
) -> Fetched:  # fmt: skip
    """Fetch the outputs of the project in `folder` on the machine to the project `here`."""
    machine = Machine(client=client, folder=folder)
    return fetch_outputs(machine, here / "outputs", only=only, choice=choice, overwrite=overwrite)
