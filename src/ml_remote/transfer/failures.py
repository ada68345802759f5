"""Why git, rsync or sftp failed: ssh, a login shell that prints, a full disk, or themselves."""

from __future__ import annotations

import re
import subprocess

from ..errors import LabError, RemoteCommandError
from ..ssh.client import Client
from ..ssh.explaining import recognise
from ..ssh.ssh_log import ThroughSsh
from .copy_errors import UNCLEAR_REASONS, copy_reason
from .git_errors import cleaned_output, git_failure, has_reason
from .sftp import offers_sftp

__all__ = ["explain_failure", "explain_git"]

_CLOSED = "Connection closed"  # what sftp says where nothing answers it
_AGAIN = "Run the command again; it continues where it stopped. If it fails again: lab doctor"


def explain_git(
    client: Client, done: ThroughSsh, *, what: str, is_push: bool = False, has_hook: bool = False
) -> LabError:
    """Return the error that says why git, run here, could not push or fetch through ssh.

    `what` is what it was doing, `is_push` whether it sent something, `has_hook` whether a hook here
    could have refused it.
    """
    known = recognise(done.of_ssh, alias=client.alias, others=done.stderr)
    if known is not None:
        return known
    # Where the machine is reached, git says so with "fatal"; without it, a hook here refused.
    by_hook = has_hook and re.search(r"(?m)^fatal: ", done.stderr) is None
    if not by_hook and not has_reason(done.stderr):
        shell = _printing_shell(client, what)
        if shell is not None:
            return shell
    # A push changes names of commits on the machine alone, a fetch here.
    is_there = is_push and "ref updates aborted by hook" in done.stderr
    return git_failure(
        done.stderr, what=what, alias=client.alias, is_there=is_there, has_hook=has_hook
    )


def explain_failure(
    client: Client,
    stderr: str,
    *,
    what: str,
    is_sent: bool = False,
    of_ssh: str | None = None,
    leave_out: str = "",
) -> LabError:
    """Return the error that says why rsync or sftp failed, which speak through ssh.

    With `is_sent` files went to the machine; otherwise they came from there. `of_ssh` is what ssh
    itself said, where that is known apart from `stderr`; `leave_out` is the end of a hint on files
    that cannot be copied.

    What ssh says is put in words; a login shell that prints something at every login breaks both,
    and they do not say so.
    """
    of_ssh = stderr if of_ssh is None else of_ssh
    known = recognise(of_ssh, alias=client.alias, others=stderr)
    if known is not None:
        return known
    lines = cleaned_output(stderr)
    # Over a connection that commands share, ssh does not tell the reason.
    if "subsystem request failed" in f"{of_ssh}{stderr}" or (
        lines == [_CLOSED] and not _has_sftp(client)
    ):
        return RemoteCommandError(
            f"{what} failed: the SSH server of {client.alias} offers no sftp.",
            hint="Install rsync 3.0 or newer on this computer and on the machine; then sftp is "
            "not needed",
        )
    found = copy_reason(lines, alias=client.alias, is_sent=is_sent)
    if found is None:
        shell = _printing_shell(client, what)
        if shell is not None:
            return shell
        found = copy_reason(lines, alias=client.alias, is_sent=is_sent, reasons=UNCLEAR_REASONS)
    said = "".join(f"\n  {line}" for line in lines)
    if found is not None:
        reason, place = found
        sentence = reason.sentence.format(place=place)
        return RemoteCommandError(
            f"{what} failed: {sentence}{said}",
            hint=reason.hint.format(leave_out=leave_out),
            quoted=tuple(lines),
        )
    return RemoteCommandError(
        f"{what} failed:{said}" if lines else f"{what} failed: no reason was given.",
        hint=_AGAIN,
        quoted=tuple(lines),
    )


def _has_sftp(client: Client) -> bool:
    """Return whether the machine offers sftp, as far as one can tell."""
    try:
        return client.attempt("true").returncode != 0 or offers_sftp(client)
    except (LabError, subprocess.TimeoutExpired):
        return True  # something else is the reason


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
        f"{noise.splitlines()[0]!r} at every login, which breaks git and file copies.",
        hint="On the machine, put above that line: case $- in *i*) ;; *) return ;; esac",
    )
