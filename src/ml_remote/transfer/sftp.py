"""Whether a machine copies files by sftp."""

from __future__ import annotations

from .. import processes
from ..ssh.client import Client

__all__ = ["PATIENCE", "offers_sftp"]

PATIENCE = 20.0
"""Seconds for the answer."""


def offers_sftp(client: Client) -> bool:
    """Return whether the SSH server copies files by sftp.

    Raises ConfigurationError where there is no sftp here, and subprocess.TimeoutExpired.
    """
    (_, *options, _, _) = client.with_options("BatchMode=yes").command()
    command = ["sftp", "-q", *options, "-b", "-", client.alias]
    return processes.run(command, input="pwd\n", timeout=PATIENCE).returncode == 0
