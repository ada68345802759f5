"""The checks of `lab doctor` on this computer that are not about the SSH configuration."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .. import git, processes
from ..editor.editors import find_editor
from ..errors import LabError
from ..ssh.client import Client
from ..ssh.configuration import expanded
from ..ssh.left_ports import left_ports
from ..ssh.shared_connection import control_command
from .findings import Finding, failed, ok, skipped, unknown

__all__ = ["check_disk_here", "check_editor", "check_git_here", "check_shared_connection"]

_FREE_MIB = 200  # what git and a few results take
SECONDS = 5.0  # for a shared connection to answer


def check_git_here() -> Finding:
    """Check that git is installed on this computer, and new enough to send commits."""
    try:
        printed = processes.run(git.git_command("--version"), timeout=10).stdout
    except LabError as error:
        return failed("git here", error)
    except subprocess.TimeoutExpired:
        return unknown("git here", "it does not answer")
    number = printed.strip().removeprefix("git version ")
    if not re.match(r"[0-9]+\.[0-9]+", number):
        return unknown("git here", "its version cannot be read")
    if git.is_old(number):
        return Finding(
            name="git here",
            state="failed",
            detail=f"{number} is too old; {git.oldest()} or newer is needed",
            remedy="Update git on this computer",
        )
    return ok("git here", number)


def check_disk_here(root: Path) -> Finding:
    """Check that this computer has space for the project and for temporary files."""
    for folder in (root, Path(tempfile.gettempdir())):
        try:
            with tempfile.TemporaryFile(dir=folder, prefix=".lab-") as file:
                file.write(b"\0" * 4096)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return Finding(
                name="disk here",
                state="failed",
                detail=f"you cannot write to {folder} ({error.strerror})",
                remedy="Free disk space on this computer, or fix the permissions of that folder",
            )
        if free < _FREE_MIB * 2**20:
            return Finding(
                name="disk here",
                state="failed",
                detail=f"{free / 2**20:.0f} MiB are free in {folder}; about {_FREE_MIB} are needed",
                remedy="Free disk space on this computer",
            )
    return ok("disk here", "there is enough space, and files can be written")


def check_shared_connection(client: Client, resolved: Mapping[str, list[str]]) -> Finding:
    """Check that the shared connection, if one is open, still answers."""
    (path, *_) = resolved.get("controlpath", ["none"])
    socket = expanded(path)
    if path == "none" or not socket.exists():
        return skipped("connection", "no shared connection is open")
    try:
        done = processes.run(control_command(socket, "check"), timeout=SECONDS)
    except subprocess.TimeoutExpired:
        done = None
    if done is not None and done.returncode == 0:
        return _check_left_ports(client)
    return Finding(
        name="connection",
        state="failed",
        detail="the shared connection no longer answers, so commands hang or are slow",
        remedy=f"rm {shlex.quote(str(socket))}",
    )


def _check_left_ports(client: Client) -> Finding:
    """Check that no program left ports open on the shared connection, which answers."""
    left = left_ports(client)
    if not left:
        return ok("connection", "the shared connection answers")
    ports = ", ".join(map(str, left))
    return Finding(
        name="connection",
        state="warning",
        detail="the shared connection answers, but VS Code or another program left ports "
        f"open ({ports}): every program on this computer can reach {client.alias} through them",
        remedy="lab code",
    )


def check_editor() -> Finding:
    """Check that VS Code, if it is installed, has the extension that works over SSH."""
    try:
        editor = find_editor()
        if editor is None:
            return skipped("editor", "VS Code is not installed here")
        missing = not editor.has_ssh_extension()
    except LabError as error:
        return unknown("editor", str(error), remedy=error.hint)
    if missing:
        return Finding(
            name="editor",
            state="warning",
            detail=f"{editor.kind.name} lacks {editor.kind.ssh_extension}",
            remedy="lab code",
        )
    return ok("editor", f"{editor.kind.name} works over SSH")
