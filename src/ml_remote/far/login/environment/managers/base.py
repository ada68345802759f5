"""What every manager can do. One is an object that has found its program."""

from pathlib import Path
from typing import Dict, NamedTuple, Optional

from ..failures import Failure, ManagerError
from ..lists import Lists
from ..settings import Settings

__all__ = ["Manager", "Work"]


class Work(NamedTuple):
    """What a manager is to do, and with what."""

    root: Path
    """The project's folder."""
    prefix: Path
    """The environment, an absolute path: it does not exist when it is made."""
    lists: Lists
    settings: Settings
    torch: str = ""
    """The build of torch that was chosen; empty leaves it to the manager."""


class Manager:
    """The interface; `uv.py`, `pip.py` and `conda.py` have the real ones."""

    name = ""
    """What lab.toml and the record call it."""
    changes_in_place = False
    """Whether a change is made in the environment itself: it may not be doubled cheaply."""

    def __init__(self, program: str) -> None:
        self.program = program

    @classmethod
    def find(cls, root: Path, *, hint: str = "") -> Optional["Manager"]:
        """Return the manager if its program is on this machine.

        `hint` is where it was last time, if that is known.
        """
        raise NotImplementedError

    def make(self, work: Work) -> None:
        """Make an environment at `work.prefix`, with everything that the lists ask for.

        Raises ManagerError when a program fails, and Failure with a sentence of its own.
        """
        raise NotImplementedError

    def change(self, work: Work) -> None:
        """Bring the environment at `work.prefix` up to date with the lists, in place."""
        raise NotImplementedError

    def only_adds(self, work: Work) -> bool:
        """Return whether `change` would leave every installed version as it is."""
        return False

    def explain(self, error: ManagerError, work: Work) -> Optional[Failure]:
        """Return what went wrong, in words; None if that is not known."""
        return None

    def versions(self, prefix: Path) -> Dict[str, str]:
        """Return what is installed besides Python packages: version by name."""
        return {}
