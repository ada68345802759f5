"""The variables that `--env` and `--env-file` give a run: recorded ones, and secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import UsageError
from ..ui.hiding import hide
from .launchers.launcher import Variables
from .variable_names import check_name

__all__ = ["check_value", "given_variables"]

_LONGEST = 64 * 2**10  # bytes of a value
# NAME=VALUE, `export` before it or not; between quotes a value may have several lines.
_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(?:
        "(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>(?!["'])[^\n]*?)
    )[ \t]*(?:(?<=[ \t"'=])\#[^\n]*)?$""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def given_variables(words: Sequence[str], file: str | None) -> Variables:
    """Return the variables that were given: `NAME=VALUE` is recorded, all others are secrets.

    Of a name that comes twice the last one counts. Raises UsageError for a name or value that
    cannot be, for one that is not set here, and for a file that cannot be read.
    """
    recorded: dict[str, str] = {}
    secret = dict(_of_file(Path(file))) if file is not None else {}
    for word in words:
        name, is_given, value = word.partition("=")
        check_name(name)
        secret.pop(name, None)
        recorded.pop(name, None)
        if is_given:
            recorded[name] = value
        elif name in os.environ:
            secret[name] = os.environ[name]
        else:
            raise UsageError(
                f"{name} is not set here.",
                hint=f"Store it on the machine: lab secret set {name}; or for this run: --env "
                f"{name}=VALUE",
            )
    hide([*recorded.values(), *secret.values()])
    for name, value in (*recorded.items(), *secret.items()):
        check_value(name, value)
    return Variables(recorded=tuple(recorded.items()), secret=secret)


def check_value(name: str, value: str) -> None:
    """Raise UsageError for what cannot be the value of a variable."""
    if not value or "\0" in value or len(value.encode(errors="surrogateescape")) > _LONGEST:
        raise UsageError(f"The value of {name} is empty, longer than 64 KiB, or not text.")


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the variables of a file. Raises UsageError that shows none of its values."""
    try:
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{path} cannot be read as a file of variables.") from None
    end = 0
    for found in _LINE.finditer(text):
        _check_rest(path, text, end, found.start())
        end = found.end()
        check_name(found["name"])
        if found["double"] is not None:
            value = re.sub(
                r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), found["double"], flags=re.DOTALL
            )
        else:
            value = found["plain"] if found["single"] is None else found["single"]
        if value:
            yield found["name"], value
    _check_rest(path, text, end, len(text))


def _check_rest(path: Path, text: str, start: int, end: int) -> None:
    """Raise UsageError unless these lines are remarks or blank."""
    for number, line in enumerate(text[start:end].split("\n"), text.count("\n", 0, start) + 1):
        if line.strip() and not line.lstrip().startswith("#"):
            raise UsageError(f"Line {number} of {path} is not NAME=VALUE.")
