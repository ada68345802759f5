"""Valid names of a run's variables and of swept parameters."""

from __future__ import annotations

from .. import answers
from ..errors import UsageError

__all__ = ["check_name"]

# What sh and its scripts need, and what bash, as sh, lets nobody set.
_TAKEN = (
    *("PATH", "HOME", "PWD", "IFS", "UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS"),
    *("BASH_VERSINFO", "FAR", "tty", "python", "secret", "secrets", "value", "here", "lab_bin"),
)


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be the name of a variable, or is lab's own."""
    if not answers.is_a(answers.VARIABLE, name):
        raise UsageError(
            f"{name!r} cannot be the name of a variable. Use letters, digits and _, no digit first."
        )
    if name.startswith("LAB_") or name in _TAKEN:
        raise UsageError(f"{name} has a special meaning; choose another name.")
