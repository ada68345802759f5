"""The arguments of `lab add` and `lab remove`, as requirements."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..errors import UsageError

__all__ = ["name_of", "parse", "parse_name"]

_NOT_PACKAGES = ("python", "pip")


def parse(text: str) -> Requirement:
    """Return the requirement that was typed. Raises UsageError."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise UsageError(
            f"{text!r} is not a requirement.",
            hint='Give a name, and bounds if you like: lab add timm "numpy>=2"',
        ) from None
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


def name_of(line: str) -> str | None:
    """Return the normalized name of a requirement in a list; None if it is not one."""
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return None
