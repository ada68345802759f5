"""Hiding secret values in what `lab` writes about its own errors."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["hide", "masked_command", "without_hidden"]

_ASSIGNED = re.compile(r"(--env=)?([A-Za-z_]\w*)=.*", re.DOTALL)
_hidden: set[str] = set()


def hide(values: Iterable[str]) -> None:
    """Keep these values out of what is written from now on."""
    _hidden.update(values)


def without_hidden(text: str) -> str:
    """Return a text with `***` in the place of each value."""
    if _hidden:
        from ..far.login.masking import MASK, masked_values

        for form in masked_values(_hidden):
            text = text.replace(form, MASK)
    return text


def masked_command(words: Sequence[str]) -> str:
    """Return a command line without the values that `--env` gives."""
    return without_hidden(shlex.join(_masked(words)))


def _masked(words: Sequence[str]) -> Iterator[str]:
    from ..far.login.masking import MASK

    before = ""
    for word in words:
        found = _ASSIGNED.fullmatch(word)
        is_value = found is not None and (before == "--env" or found[1] is not None)
        yield f"{found[1] or ''}{found[2]}={MASK}" if found is not None and is_value else word
        before = word
