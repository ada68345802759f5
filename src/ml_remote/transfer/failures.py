"""Why git, rsync or sftp failed: ssh, a login shell that prints, a full disk, or themselves."""

from __future__ import annotations

import re
import subprocess

from ..errors import LabError, RemoteCommandError
from ..ssh.client import Client
from ..ssh.explaining import recognise
from .git_words import git_failure, has_reason, told
from .sftp import offers_sftp

__all__ = ["explain_failure", "explain_git"]

_CLOSED = "Connection closed"  # what sftp says where nothing answers it
_AGAIN = "Run the command again; it goes on where it stopped. If it fails again: lab doctor"


def explain_git(client: Client, stderr: str, *, what: str, has_hook: bool = False) -> LabError:
    """Return the error that says why git, run here, could not push or fetch through ssh.

    `what` is what it was doing, `has_hook` whether a hook here could have refused it.
    """
    # Where ssh fails, git says so with "fatal"; without it, such words are those of a hook.
    by_hook = has_hook and re.search(r"(?m)^fatal: ", stderr) is None
    known = None if by_hook else recognise(_own(stderr), alias=client.alias)
    if known is not None:
        return known
    if not by_hook and not has_reason(stderr):
        shell = _printing_shell(client, what)
        if shell is not None:
            return shell
    return git_failure(stderr, what=what, alias=client.alias, has_hook=has_hook)


def explain_failure(client: Client, stderr: str, *, what: str, is_sent: bool = False) -> LabError:
    """Return the error that says why rsync or sftp failed, which speak through ssh.

    With `is_sent` files went to the machine; otherwise they came from there.

    What ssh says is put in words; a login shell that prints something at every login breaks both,
    and they do not say so.
    """
    known = recognise(stderr, alias=client.alias)
    if known is not None:
        return known
    lines = told(stderr)
    # Over a connection that commands share, ssh does not tell the reason.
    if "subsystem request failed" in stderr or (lines == [_CLOSED] and not _has_sftp(client)):
        return RemoteCommandError(
            f"{what} failed: the SSH server of {client.alias} offers no sftp.",
            hint="Install rsync 3.0 or newer, on this computer and there; then sftp is not needed",
        )
    full = [line for line in lines if "No space left on" in line or "quota exceeded" in line]
    if full:
        is_there = is_sent or "[sender]" in full[0]
        place = client.alias if is_there else "this computer"
        return RemoteCommandError(
            f"{what} failed: the disk of {place} is full, or your quota is used up.",
            hint="Make room (lab status shows the disk there), then run the command again; "
            "it goes on where it stopped",
        )
    shell = _printing_shell(client, what)
    if shell is not None:
        return shell
    said = "\n".join(f"  {line}" for line in lines)
    return RemoteCommandError(
        f"{what} failed:\n{said}" if lines else f"{what} failed: no reason was given.",
        hint=_AGAIN,
        quoted=tuple(lines),
    )


def _has_sftp(client: Client) -> bool:
    """Return whether the machine offers sftp, as far as one can tell."""
    try:
        return client.attempt("true").returncode != 0 or offers_sftp(client)
    except (LabError, subprocess.TimeoutExpired):
        return True  # something else is the reason


def _own(stderr: str) -> str:
    """Return what was said without the lines of the machine's own programs."""
    return "\n".join(line for line in stderr.split("\n") if not line.startswith("remote: "))


def _printing_shell(client: Client, what: str) -> LabError | None:
    """Return the error for a login shell that prints at every login; None if it does not."""
    try:
        noise = client.noise().strip()
    except LabError as error:
        return error  # the machine is out of reach by now: that is the reason
    if not noise:
        return None
    return RemoteCommandError(
        f"{what} failed: on {client.alias} a file such as ~/.bashrc prints "
        f"{noise.splitlines()[0]!r} at every login, and git and file copies break on that.",
        hint="There, put above that line: case $- in *i*) ;; *) return ;; esac",
    )
