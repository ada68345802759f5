"""The environment that is in use, and why it is not up to date, if it is not."""

import os
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from .environments import Environments
from .inside import Inventory, inventory
from .lists import Lists
from .managers import CONDA_FAMILY, MANAGERS
from .record import Record, read_record
from .settings import Settings

__all__ = ["State", "allowed_managers", "look"]


class State(NamedTuple):
    """The state of the environment that was found."""

    prefix: Optional[Path]
    """The environment, by its resolved path; None if there is none whose Python runs."""
    record: Optional[Record]
    """Its record; None if it was made by something else, or was not completed."""
    reason: str
    """Why it is not up to date; empty if it is."""
    installed: Optional[Inventory] = None

    @property
    def works(self) -> bool:
        """Whether there is a complete environment that must not be lost."""
        return self.prefix is not None and self.record is not None and self.record.complete


def allowed_managers(wanted: str) -> Tuple[str, ...]:
    """Return which managers an environment may be of, for this `manager` in lab.toml."""
    if wanted == "auto":
        return (*CONDA_FAMILY, "uv", "venv")
    return CONDA_FAMILY if wanted == "conda" else (wanted,)


def look(environments: Environments, settings: Settings, lists: Lists) -> State:
    """Return the state of the environment; nothing is changed."""
    prefix = environments.current
    if prefix is None:
        return State(None, None, "there is none")
    record = read_record(prefix)
    found = inventory(prefix, lists)
    if found is None:
        return State(None, record, "its Python does not run")
    if environments.incomplete.exists():
        return State(prefix, None, "a change was interrupted", found)
    if record is None:
        return State(prefix, None, "lab did not make it", found)
    reason = _reason(environments, settings, lists, record, prefix=prefix, found=found)
    return State(prefix, record, reason, found)


def _reason(
    environments: Environments,
    settings: Settings,
    lists: Lists,
    record: Record,
    *,
    prefix: Path,
    found: Inventory,
) -> str:
    if not record.complete:
        return "it was not completed"
    if record.manager not in allowed_managers(settings.manager):
        return "it was made by {}, not {}".format(record.manager, settings.manager)
    if record.python != settings.python:
        return "it was made for Python {}, not {}".format(record.python, settings.python)
    if record.project and record.project != str(environments.root):
        return "it was made in another folder, {}".format(record.project)
    if record.lists and record.lists != lists.digest:
        return "the lists have changed"
    if record.torch != settings.torch:
        return "another build of torch is requested"
    if os.environ.get("LAB_UPGRADE") == "1" and record.manager in CONDA_FAMILY:
        return "the newest versions are requested"
    gone = sorted(set(record.installed) - set(found.versions))
    if gone:
        return "{} is missing".format(gone[0])
    problems = MANAGERS[record.manager].problems(prefix, lists, found, record.installed)
    return problems[0] if problems else ""
