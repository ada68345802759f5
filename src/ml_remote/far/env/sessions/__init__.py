"""The kinds of session: what a machine serves for the browser on the laptop.

Each kind is a module of this package with a constant KIND. The laptop imports it, too, so what it
needs to serve is imported by the functions that do. To add one, write its module and put its
name into KINDS: `lab <name>` is then a command.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .kind import Kind

__all__ = ["KINDS", "find_kind"]

KINDS = {
    "jupyter": "Open JupyterLab on the machine in your browser.",
    "tensorboard": "Open TensorBoard on the machine in your browser.",
}
"""The commands that open a session, with what `lab --help` says of them, in this order."""


def find_kind(name: str) -> Kind:
    """Return the kind of that name, one of KINDS."""
    kind: Kind = import_module(f"{__name__}.{name}").KIND
    return kind
