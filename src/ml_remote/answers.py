"""Checks of what the machine answers: the one place where its words are checked before use.

A word of the machine may become a part of a path here, of an argument of ssh, of a file that sftp
reads, or of a command that a person is told to run. So each kind of word is described by what it
may consist of, as narrowly as real machines allow. What is only shown needs no check: `ui.text`
makes it fit for a terminal.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from .errors import RemoteCommandError
from .ui.text import in_one_line

__all__ = [
    "BRANCH",
    "COMMIT",
    "FAR_FOLDER",
    "FOLDER",
    "GOAL",
    "HOST",
    "INTERFACE",
    "JOB",
    "KERNEL",
    "KERNEL_LAB",
    "LAB",
    "NAME",
    "SLURM_ID",
    "SLURM_STATE",
    "SOCKET_FOLDER",
    "TOKEN",
    "USER",
    "VARIABLE",
    "VERSION",
    "WORD",
    "Kind",
    "UnusableAnswerError",
    "address",
    "checked",
    "commit",
    "folder",
    "is_a",
    "number",
    "unusable",
]

_SHOWN = 80  # characters of an answer that cannot be used
_DIGITS = re.compile(r"-?[0-9]{1,18}")


class UnusableAnswerError(RemoteCommandError):
    """The machine gave an answer that is not valid."""


@dataclass(frozen=True)
class Kind:
    """A kind of word that the machine may send, and how it is checked."""

    what: str
    """What it is called in a sentence."""
    pattern: re.Pattern[str]


def _kind(what: str, pattern: str) -> Kind:
    return Kind(what, re.compile(pattern))


# Neither what ssh expands (% and $), nor quotes, nor what cannot be printed. No part is `..`.
_PLAIN = r"[^\x00-\x1f\x7f-\x9f\"'`$%\\\ud800-\udfff\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
_NO_WAY_UP = r"(?!(?:.*/)?\.\.(?:/|$))"

FOLDER = _kind("path of a folder", rf"{_NO_WAY_UP}/{_PLAIN}{{0,1000}}")
SOCKET_FOLDER = _kind("folder of a session", rf"{_NO_WAY_UP}/[A-Za-z0-9._/@+=,-]{{1,99}}")
FAR_FOLDER = _kind("folder of the tool", r"\.lab/far/[A-Za-z0-9]{1,80}")
GOAL = _kind("goal of a sweep", r"(?:max|min):(?!.*\.\.)[\w./@+-]{1,100}")
HOST = _kind("host name", r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
JOB = _kind("id of a job", r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
LAB = _kind("lab", rf"(?![-~/]){_NO_WAY_UP}[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,300}}")
KERNEL = _kind("id of a kernel", r"[0-9a-f]{16}")
# Only shown and compared: a lab outside of the project has an absolute path.
KERNEL_LAB = _kind("lab of a kernel", rf"(?![-~]){_NO_WAY_UP}(?:{_PLAIN}|'){{1,1000}}")
NAME = _kind("name of results", r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
VARIABLE = _kind("name of a variable", r"[A-Za-z_][A-Za-z0-9_]{0,199}")
COMMIT = _kind("commit", r"[0-9a-f]{40}|[0-9a-f]{64}")
# As git has it (git-check-ref-format); it also knows no quotes and no `$`.
BRANCH = _kind("branch", rf"(?!-)(?!.*(?:\.\.|//|@\{{|\.lock$))(?:(?![ ~^:?*\[]){_PLAIN}){{1,200}}")
SLURM_ID = _kind("job of Slurm", r"[0-9]{1,18}(?:[_+][0-9]{1,9})?")
SLURM_STATE = _kind("state of a job of Slurm", r"[A-Z][A-Z_+]{0,39}")
TOKEN = _kind("token", r"[A-Za-z0-9_-]{8,200}")
USER = _kind("name of a user", r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}")
VERSION = _kind("version", r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,79}")
INTERFACE = _kind("network interface", r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,30}")
WORD = _kind("word", r"[A-Za-z][A-Za-z0-9_-]{0,39}")


def is_a(kind: Kind, answer: object) -> bool:
    """Return whether an answer is a text of that kind."""
    return isinstance(answer, str) and kind.pattern.fullmatch(answer) is not None


def checked(kind: Kind, answer: object) -> str:
    """Return an answer that is of that kind. Raises UnusableAnswerError for any other."""
    if isinstance(answer, str) and is_a(kind, answer):
        return answer
    raise unusable(kind.what, answer)


def folder(answer: object, *, asked: str) -> str:
    """Return the absolute path of the folder that a person calls `asked`.

    Their own words are taken as they are: only what the machine adds is checked. Raises
    UnusableAnswerError.
    """
    own = asked.rstrip("/")
    if isinstance(answer, str) and answer.endswith(f"/{own.lstrip('/')}"):
        added = answer.removesuffix(own)
        if added in ("", "/") or is_a(FOLDER, added):
            return answer
    return checked(FOLDER, answer)


def number(answer: object, *, least: int = 0, most: int = 10**15) -> int:
    """Return an answer that is a whole number, as a text or from JSON.

    Raises UnusableAnswerError for any other, and for one that is not between `least` and `most`.
    """
    if isinstance(answer, str) and _DIGITS.fullmatch(answer):
        answer = int(answer)
    if type(answer) is int and least <= answer <= most:
        return answer
    raise unusable(f"number between {least} and {most}", answer)


def commit(answer: object) -> str:
    """Return a commit, or nothing where there is none. Raises UnusableAnswerError."""
    return "" if answer == "" else checked(COMMIT, answer)


def address(answer: object) -> str:
    """Return an IPv4 address. Raises UnusableAnswerError."""
    try:
        return str(ipaddress.IPv4Address(answer if isinstance(answer, str) else ""))
    except ValueError:
        raise unusable("IPv4 address", answer) from None


def unusable(what: str, answer: object) -> UnusableAnswerError:
    """Return the error for an answer that is not what it should be."""
    said = in_one_line(answer if isinstance(answer, str) else f"{answer!r:.{_SHOWN}}")
    short = f"{said[:_SHOWN]}..." if len(said) > _SHOWN else said
    return UnusableAnswerError(
        f'The machine gave an unusable answer: "{short}" (expected: {what}).',
        hint="To see what it prints at login: lab doctor",
        quoted=(f'"{short}"',),
    )
