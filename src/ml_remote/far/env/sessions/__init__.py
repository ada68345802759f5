"""The kinds of session: what a machine serves for the browser on the laptop.

Each kind is a module of this package with a constant KIND. `lab --help` imports it, so what it
needs to serve is imported by the functions that do. To add one, write its module and put its
name into KINDS: `lab <name>` is then a command.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .kind import Kind

__all__ = ["KINDS", "find_kind"]

KINDS = ("jupyter", "tensorboard")
"""The commands that open a session, in the order in which `lab --help` lists them."""


def find_kind(name: str) -> Kind:
    """Return the kind of that name, one of KINDS."""
    kind: Kind = import_module(f"{__name__}.{name}").KIND
    return kind
