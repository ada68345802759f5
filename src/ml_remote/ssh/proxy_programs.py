"""A ProxyCommand whose program is missing: which one, and where the configuration names it."""

from __future__ import annotations

import re

from .ssh_directory import ssh_directory

__all__ = ["missing_program", "where_it_is_named"]

# ssh starts a ProxyCommand by the login shell; when that finds no program, ssh meets a closed pipe.
_CLOSED = re.compile(r"(?m)^(?:.* UNKNOWN port 65535|(?:kex|ssh)_exchange_identification: )")
_PROGRAM = r"(?P<program>[^\s:;'\"`$]{1,300})"
_SHELLS = (
    rf"^\S*sh: (?:line )?\d+: (?:exec: )?{_PROGRAM}: (?:command )?not found",  # bash, dash
    rf"^\S*sh: (?:exec: )?(?:line )?(?:\d+: )?(?:exec: )?{_PROGRAM}: (?:command )?not found",
    rf"^\S*sh: (?:exec: )?(?:line )?(?:\d+: )?(?:exec: )?{_PROGRAM}: "
    r"(?:cannot execute: )?(?:No such file or directory|Permission denied)",
    rf"^zsh:\d*:? (?:command not found|no such file or directory|permission denied): {_PROGRAM}",
    rf"^fish: (?:Unknown command:? ?|exec: )['\"]?{_PROGRAM}",
    rf"^{_PROGRAM}: (?:Command not found|Permission denied)\.$",  # csh
)


def missing_program(stderr: str) -> str | None:
    """Return the program that a ProxyCommand needs and a shell did not find."""
    if not _CLOSED.search(stderr):
        return None
    for pattern in _SHELLS:
        found = re.search(pattern, stderr, re.MULTILINE)
        if found:
            return found["program"]
    return None


def where_it_is_named(program: str) -> str:
    """Return which line of the configuration has a ProxyCommand with this program, if one does."""
    config = ssh_directory() / "config"
    try:
        lines = config.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "your SSH configuration"
    naming = rf"(?i)\s*ProxyCommand[ \t=].*(?<![\w./-]){re.escape(program)}(?![\w./-])"
    found = [number for number, line in enumerate(lines, 1) if re.match(naming, line)]
    return f"line {found[0]} of {config}" if len(found) == 1 else "your SSH configuration"
