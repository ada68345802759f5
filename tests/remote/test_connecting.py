"""`lab connect` and `lab disconnect` against a real OpenSSH server."""

from __future__ import annotations

import stat
import subprocess

import pytest

from openssh_server import Account, Laptop, OpenSSHServer
from remote_fixtures import Lab


def snapshot(laptop: Laptop) -> dict[str, bytes]:
    """Every file in the SSH directory, with its content; sockets of shared connections left out."""
    return {
        str(path.relative_to(laptop.ssh)): path.read_bytes()
        for path in sorted(laptop.ssh.rglob("*"))
        if path.is_file()
    }


def test_key_is_made_copied_with_password_and_logs_in(
    lab: Lab, laptop: Laptop, server: OpenSSHServer, account: Account
) -> None:
    done = lab("connect", server.address, "--yes", **laptop.askpass(account.password or ""))
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout, done.stderr)
    assert 0
