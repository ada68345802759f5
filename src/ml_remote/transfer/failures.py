"""Why git, rsync or sftp failed: ssh, a login shell that prints, a full disk, or themselves."""

from __future__ import annotations

from ..errors import LabError, RemoteCommandError
from ..ssh.client import Client
from ..ssh.explaining import recognise

__all__ = ["explain_failure"]


def explain_failure(client: Client, stderr: str, *, what: str) -> LabError:
    """Return the error that says why a program failed that speaks through ssh.

    `what` is what it was doing. What ssh says is put in words; a login shell that prints something
    at every login breaks all of these programs, and they do not say so.
    """
    known = recognise(stderr, alias=client.alias)
    if known is not None:
        return known
    if "No space left on device" in stderr or "Disk quota exceeded" in stderr:
        return RemoteCommandError(
            f"{what} failed: the disk is full.",
            hint="Make room (lab status shows the disk there), then run the command again; "
            "it goes on where it stopped",
        )
    try:
        noise = client.run("true", check=False).stdout.strip()
    except LabError as error:
        return error  # the machine is out of reach by now: that is the reason
    if noise:
        return RemoteCommandError(
            f"{what} failed: on {client.alias} a file such as ~/.bashrc prints "
            f"{noise.splitlines()[0]!r} at every login, and git and file copies break on that.",
            hint="There, put above that line: case $- in *i*) ;; *) return ;; esac",
        )
    said = [line.strip() for line in stderr.splitlines() if line.strip()]
    return RemoteCommandError(
        f"{what} failed: {said[-1] if said else 'no reason was given'}",
        hint="Run the command again; it goes on where it stopped. If it fails again: lab doctor",
    )
