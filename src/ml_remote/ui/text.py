r"""Untrusted text, of the machine, git, ssh or a file, made safe for a terminal.

A terminal obeys what is in the text that it shows: it moves the cursor, sets the clipboard, hides
what came before. So whatever cannot be printed is written as an escape such as `\x1b`. Characters
that change the order of others (bidirectional controls) cannot be printed either.
"""

from __future__ import annotations

import re

__all__ = ["in_one_line", "log_text", "shown", "without_colours"]

_MOST = 500_000  # characters that are shown at a time
_SGR = re.compile(r"\x1b\[[0-9;]*m")
_RESET = "\x1b[0m"
_RESETS = (_RESET, "\x1b[m")
_NEXT = re.compile(r"(?m)^(?=Next:)")
_ANY_SGR = rf"(?:{_SGR.pattern})*"
_NEXT_IN_LOG = rf"(^|[\n\r])({_ANY_SGR})(?={_ANY_SGR.join('Next:')})"  # slow to compile


def shown(text: str) -> str:
    """Return a text in which line breaks, tabs and what can be printed are all that is left.

    No line of it looks like the one that says what to run next. Of very much, both ends are left.
    """
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]}\n...\n{text[-_MOST // 2 :]}"
    return _NEXT.sub("  ", _escaped(text, kept="\n\t"))


def in_one_line(text: str) -> str:
    """Return a text in which only what can be printed is left, and no line break."""
    return _escaped(text, kept="")


def log_text(line: str) -> str:
    """Return a line that a run has printed: it keeps its colours and its carriage returns.

    Colours (SGR) end with the line. Everything else is as `shown` has it.
    """
    colours = _SGR.findall(line)
    pieces = [_escaped(piece, kept="\n\t\r") for piece in _SGR.split(line)]
    ends = [*colours, "" if not colours or colours[-1] in _RESETS else _RESET]
    text = "".join(f"{piece}{end}" for piece, end in zip(pieces, ends, strict=True))
    return re.sub(_NEXT_IN_LOG, r"\1  \2", text)


def without_colours(line: str) -> str:
    """Return a line that a run has printed without its colours (SGR)."""
    return _SGR.sub("", line)


def _escaped(text: str, *, kept: str) -> str:
    """Return a text with every character that cannot be printed, but those kept, as an escape."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter in kept or _is_harmless(letter) else _escape(letter) for letter in text
    )


def _is_harmless(letter: str) -> bool:
    """Return whether a character can be printed; a space of any width can."""
    from unicodedata import category  # hardly any text needs it

    return letter.isprintable() or category(letter) == "Zs"


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
