"""What a check of `lab doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import LabError

__all__ = ["STATES", "Finding", "State", "failed", "ok", "skipped", "unknown"]

State = Literal["ok", "warning", "failed", "unknown", "skipped"]
STATES: tuple[State, ...] = ("ok", "warning", "failed", "unknown", "skipped")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found, and the command that fixes it if that is wanted."""

    name: str
    state: State
    detail: str
    remedy: str | None = None
    quoted: tuple[str, ...] = ()
    """What in it is somebody else's text, which `--copy` leaves out."""


def ok(name: str, detail: str, *, quoted: tuple[str, ...] = ()) -> Finding:
    """Return that all is well."""
    return Finding(name=name, state="ok", detail=detail, quoted=quoted)


def skipped(name: str, detail: str) -> Finding:
    """Return that there was nothing to check."""
    return Finding(name=name, state="skipped", detail=detail)


def unknown(name: str, detail: str, *, remedy: str | None = None) -> Finding:
    """Return that the check could not decide: nobody knows whether all is well."""
    return Finding(name=name, state="unknown", detail=detail, remedy=remedy)


def failed(name: str, error: LabError) -> Finding:
    """Return an error as a finding."""
    return Finding(
        name=name, state="failed", detail=str(error), remedy=error.hint, quoted=error.quoted
    )
