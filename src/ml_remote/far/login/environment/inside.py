"""Questions to the environment's own Python: installed packages, and a device that computes.

The programs are run by the environment's interpreter, alone (`-I`), from a file beside this one.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .commands import answer
from .environments import interpreter_of
from .lists import Lists

__all__ = ["Device", "Inventory", "Needs", "inventory", "needs", "normalised", "prove_device"]

_PATIENCE = 90
"""Seconds for a list of what is installed: a network disk that was idle takes long."""
_PROBES = Path(__file__).resolve().parent / "probes"


class Inventory(NamedTuple):
    """What is installed, and which entries of the lists are missing."""

    versions: Dict[str, str]
    """The version of each installed package, by its normalised name."""
    problems: List[str]
    """What the lists or the lock ask for and is missing, or another version."""
    wanted: List[str] = []  # noqa: RUF012 - never changed
    """What pyproject.toml asks for, as it is written there."""


class Needs(NamedTuple):
    """Which installed packages the lists need."""

    needed: List[str]
    """The lists' packages, and all that those need."""
    leaving: List[str]
    """What the lists once needed, and nothing that is installed needs any more."""


class Device(NamedTuple):
    """What torch computes on."""

    summary: str
    """For people: Python, torch, the device."""
    problem: str = ""
    """Why a card that is there cannot be used, if so."""
    is_lasting: bool = False
    """Whether the problem stays: the build of torch does not fit the card."""


def inventory(prefix: Path, lists: Lists) -> Optional[Inventory]:
    """Return what is installed in an environment; None if its Python does not run."""
    lock = str(lists.lock) if lists.lock else ""
    values = _ask(prefix, "installed.py", str(lists.pyproject), lock, seconds=_PATIENCE)
    if values is None:
        return None
    return Inventory(values["versions"], values["problems"], values["wanted"])


def needs(prefix: Path, wanted: Sequence[str], before: Sequence[str]) -> Needs:
    """Return what `wanted` needs, and what of `before` can go; nothing if its Python fails."""
    values = _ask(
        prefix, "leaving.py", json.dumps(list(wanted)), json.dumps(list(before)), seconds=_PATIENCE
    )
    return Needs(values["needed"], values["leaving"]) if values else Needs([], [])


def normalised(name: str) -> str:
    """Return a package's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def prove_device(prefix: Path) -> Optional[Device]:
    """Compute with torch as the labs do; None if torch cannot be imported."""
    values = _ask(prefix, "device.py", seconds=300)
    if values is None:
        return None
    return Device(values["summary"], values["problem"], values["is_lasting"])


def _ask(prefix: Path, probe: str, *arguments: str, seconds: float) -> Optional[Dict[str, Any]]:
    command = [str(interpreter_of(prefix)), "-B", str(_PROBES / probe), *arguments]
    variables = {"PYTHONNOUSERSITE": "1"}
    if not os.environ.get("LAB_DEBUG"):
        variables["PYTHONWARNINGS"] = "ignore"
    text = answer(command, variables=variables, seconds=seconds)
    try:
        values = json.loads((text or "").strip().splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return values if isinstance(values, dict) else None
