"""The arguments of `lab add` and `lab remove`, as requirements."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..errors import UsageError

__all__ = ["has_login", "merged", "name_of", "parse", "parse_name"]

_NOT_PACKAGES = ("python", "pip")
_ADDRESS = re.compile(r"[a-z+]+://\S+$")
_PASSWORD = re.compile(r"https?://[^/@$]+@")  # a name alone may be a token; a variable is neither


def parse(text: str) -> Requirement:
    """Return the requirement that was typed. Raises UsageError."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        hint = 'Give a name, and bounds if you like: lab add timm "numpy>=2"'
        if _ADDRESS.match(text):
            hint = f"Put its name before the address: lab add {shlex.quote(f'NAME @ {text}')}"
        raise UsageError(f"{text!r} is not a requirement.", hint=hint) from None
    if canonicalize_name(requirement.name) in _NOT_PACKAGES:
        raise UsageError(
            f"`lab` cannot add or remove {requirement.name}.",
            hint="The version of Python is `python` in [environment] in lab.toml",
        )
    return requirement


def parse_name(text: str) -> str:
    """Return the normalized name that was typed, without bounds. Raises UsageError."""
    requirement = parse(text)
    if requirement.specifier or requirement.url or requirement.extras or requirement.marker:
        raise UsageError(f"{text!r} is not just a name.", hint=f"lab remove {requirement.name}")
    return canonicalize_name(requirement.name)


def has_login(requirement: Requirement) -> bool:
    """Return whether the address of a package has a name, a password or a token in it."""
    return _PASSWORD.search(requirement.url or "") is not None


def name_of(line: str) -> str | None:
    """Return the normalized name of a requirement in a list; None if it is not one."""
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return None


def merged(listed: Sequence[Requirement], asked: Requirement) -> list[Requirement]:
    """Return what a list has of one package once `asked` is added to what it has.

    Extras that are listed stay, bounds and addresses are replaced. What is asked for under a
    condition (`; python_version < "3.13"`) leaves entries with no or another condition as they are.
    """
    marker = str(asked.marker or "")
    same = [one for one in listed if not marker or str(one.marker or "") == marker]
    new = [_with_extras(one, asked) for one in same]
    if asked.specifier or asked.url:
        new = [_with_extras(asked, *same)]
    elif marker and any(asked.extras <= one.extras for one in listed if not one.marker):
        return list(listed)  # which is for every system
    elif not same:
        new = [asked]
    result: list[Requirement | None] = []
    rest = iter(new)
    for one in listed:
        result += [next(rest, None)] if one in same else [one]
    return [one for one in (*result, *rest) if one is not None]


def _with_extras(requirement: Requirement, *others: Requirement) -> Requirement:
    """Return a requirement with the extras of others, too."""
    new = Requirement(str(requirement))
    new.extras = new.extras.union(*(one.extras for one in others))
    return new
