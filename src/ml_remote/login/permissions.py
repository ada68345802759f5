"""Making a file private to its owner, on Unix and on Windows."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from pathlib import Path

from .. import processes
from ..errors import ConfigurationError

__all__ = ["icacls_command", "make_private"]


def make_private(path: Path) -> None:
    """Make the file `path` readable and writable by its owner only.

    Raises ConfigurationError when Windows does not take the change.
    """
    if sys.platform != "win32":
        path.chmod(0o600)
        return
    command = icacls_command(path, user=getpass.getuser(), domain=os.environ.get("USERDOMAIN"))
    done = processes.run(command)
    if done.returncode != 0:
        raise ConfigurationError(
            f"{path} could not be made private: {done.stdout.strip()} {done.stderr.strip()}",
            hint=f"Run it yourself to see why: {subprocess.list2cmdline(command)}",
        )


def icacls_command(path: Path, *, user: str, domain: str | None = None) -> list[str]:
    """Return the command that takes away inherited access and leaves full control to one user.

    Windows' ssh refuses a private key that anybody but its owner, the system and administrators may
    read.
    """
    account = f"{domain}\\{user}" if domain else user
    return ["icacls", str(path), "/inheritance:r", "/grant:r", f"{account}:F"]
