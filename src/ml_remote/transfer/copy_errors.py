"""Why rsync or sftp failed: their messages, what each means, and what to do.

Both sides write to one standard error. Which of them a line is about: rsync names the role of the
process that writes it, sftp says `remote` or `local`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .git_errors import Reason

__all__ = ["COPY_REASONS", "UNCLEAR_REASONS", "copy_reason"]

_AGAIN = "then run the command again; it continues where it stopped"
# An earlier one wins: causes come before their consequences.
COPY_REASONS = (
    Reason(
        r"(?i)quota exceeded",
        "your quota on {place} is used up.",
        f"Free disk space there (lab status shows your quotas on the machine), {_AGAIN}",
    ),
    Reason(
        r"(?i)No space left on|File too large",
        "the disk of {place} is full, or your quota is used up.",
        f"Free disk space (lab status shows the disk of the machine), {_AGAIN}",
    ),
    Reason(
        r"Read-only file system",
        "the file system on {place} is read-only.",
        "Ask whoever runs it, or use another disk",
    ),
    Reason(
        r"Input/output error|Stale (?:NFS )?file handle|Transport endpoint is not connected",
        "the disk of {place} failed to read or write.",
        f"Check that it is mounted and healthy, {_AGAIN}",
    ),
    Reason(
        r"File name too long|Invalid argument \(22\)|Illegal byte sequence",
        "the file system on {place} cannot store a file with such a name.",
        "Give it another name{leave_out}",
    ),
    Reason(
        r"rsync: (?:command )?not found|rsync: No such file|command not found: rsync|"
        r"remote command not found",
        "commands run over SSH find no rsync on {place}.",
        "Set PATH in your start-up file there (~/.bashrc, ~/.zshenv) before it returns for such "
        "commands; or install rsync for all users there",
    ),
    Reason(
        r"^(?:write remote|dest open|remote mkdir|Couldn't write to remote) .*: Failure",
        "the SSH server of {place} cannot write there: its disk may be full, a quota used up, or "
        "the file system read-only.",
        "See there: df -h, quota -s",
    ),
    Reason(
        r"Permission denied",
        "you cannot read or write some of the files on {place}.",
        "Check who owns them: ls -l{leave_out}",
    ),
)

UNCLEAR_REASONS = (
    Reason(
        r"unknown option|protocol incompatibility|requested action not supported|"
        r"unexpected remote arg|safe_arg",
        "the rsync versions of this computer and the machine are incompatible.",
        "Install a newer rsync where it is older (without an administrator: conda install rsync)",
    ),
    Reason(
        r"connection unexpectedly closed|received SIG|terminated abnormally|Broken pipe|"
        r"^Connection closed$|[Rr]ead packet: |remote shell (?:failed|killed)|error allocating",
        "the copying program was killed on one of the two sides.",
        "Run the command again; it continues where it stopped. If it happens again, check the "
        "machine's memory and limits: lab status",
    ),
)
"""What is left where no cause was told, and the login shell prints nothing."""

_NAME = re.compile(r'".*"')  # a file may be called like a reason
_ROLE = re.compile(r"\[(sender|[Rr]eceiver|generator|client|server)[=\]]")


def copy_reason(
    lines: Sequence[str], *, alias: str, is_sent: bool, reasons: Sequence[Reason] = COPY_REASONS
) -> tuple[Reason, str] | None:
    """Return the reason that rsync or sftp gave, and where it is so; None if it is not known.

    With `is_sent` files went to the machine `alias`; otherwise they came from there.
    """
    lines = [_NAME.sub('""', line) for line in lines]
    for reason in reasons:
        for line in lines:
            if re.search(reason.pattern, line):
                there = _is_there(line, lines, is_sent=is_sent)
                return reason, alias if there else "this computer"
    return None


def _is_there(line: str, lines: Sequence[str], *, is_sent: bool) -> bool:
    """Return whether a line is about the machine."""
    if re.search(r"\blocal ", line):
        return False
    if re.search(r"\bremote\b|^dest |\bsh: |not found", line):
        return True
    # Before version 3.2, rsync named the role in its last line only.
    found = next((role for text in (line, *reversed(lines)) if (role := _ROLE.search(text))), None)
    if found is None:
        return False
    return (found[1] == "sender") != is_sent
