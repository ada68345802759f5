"""Checking that rsync is new enough: macOS has another program of that name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable

from .. import processes

__all__ = ["OLDEST", "is_new_enough", "is_plain", "remote_shell", "said_here", "version_in"]

OLDEST = (3, 0)
"""The first version with --protect-args."""

_PLAIN = re.compile(r"[A-Za-z0-9/._+@=,-]+")
_VERSION = re.compile(r"rsync\s+version v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?")


def version_in(said: str) -> tuple[int, ...]:
    """Return the version that `rsync --version` says; () where that is another program.

    That of macOS names the one that it is like in its second line.
    """
    found = _VERSION.search(said)
    return tuple(int(number or 0) for number in found.groups()) if found else ()


def is_plain(word: str) -> bool:
    """Return whether a word is the same to rsync, and to every shell, without quotes."""
    return bool(_PLAIN.fullmatch(word))


def remote_shell(words: Iterable[str]) -> str:
    """Return a command as rsync's -e takes it: between quotes, a doubled quote is the quote."""
    return " ".join(
        word if is_plain(word) else '"' + word.replace('"', '""') + '"' for word in words
    )


def is_new_enough(said: str) -> bool:
    """Return whether what `rsync --version` says is that of an rsync that `lab` can use."""
    return version_in(said) >= OLDEST


def said_here() -> str:
    """Return the first line of `rsync --version` on this computer; "" where there is none."""
    if shutil.which("rsync") is None:
        return ""
    return processes.run(["rsync", "--version"]).stdout.partition("\n")[0]
