"""The interface of every manager: an object that has found its program."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional

from ..commands import run
from ..environments import interpreter_of
from ..failures import Failure, ManagerError
from ..inside import Inventory
from ..lists import Lists
from ..settings import Settings

__all__ = ["Manager", "Work"]


class Work(NamedTuple):
    """The work for a manager."""

    root: Path
    """The project's folder."""
    prefix: Path
    """The environment, an absolute path: it does not exist when it is made."""
    lists: Lists
    settings: Settings
    torch: str = ""
    """The build of torch that was chosen; empty leaves it to the manager."""


class Manager(ABC):
    """The interface; `uv.py`, `pip.py` and `conda/manager.py` have the real ones."""

    name = ""
    """What lab.toml and the record call it."""
    links = True
    """Whether a second environment is made of hard links, and costs nearly nothing."""

    def __init__(self, program: str) -> None:
        self.program = program

    @classmethod
    @abstractmethod
    def find(cls, root: Path, *, hint: str = "") -> Optional["Manager"]:
        """Return the manager if its program is on this machine.

        `hint` is where it was last time, if that is known.
        """

    @abstractmethod
    def make(self, work: Work) -> None:
        """Make an environment at `work.prefix`, with everything that the lists ask for.

        Raises ManagerError when a program fails, and Failure with a sentence of its own.
        """

    @abstractmethod
    def change(self, work: Work) -> None:
        """Update the environment at `work.prefix` to match the lists, in place."""

    def only_adds(self, work: Work) -> bool:
        """Return whether the lists ask for more packages only; no installed version would change.

        Raises ManagerError when the packages cannot be found.
        """
        return False

    def add(self, work: Work) -> None:
        """Add what is missing, in place, where `only_adds`: what is there works all the while."""
        self.change(work)

    def wanted(self, work: Work, found: Inventory) -> List[str]:
        """Return the requirements, as pip reads them, that this manager installs from PyPI."""
        return found.wanted

    def remove(self, work: Work, names: List[str]) -> None:
        """Uninstall packages of PyPI from the environment at `work.prefix`, and nothing else."""
        python = str(interpreter_of(work.prefix))
        command = [python, "-m", "pip", "uninstall", "--yes", "--disable-pip-version-check"]
        # Else pip would take the package in ~/.local away where one of the same name is there.
        variables = {"PYTHONNOUSERSITE": "1"}
        run([*command, *names], folder=work.root, variables=variables, on_line=lambda _: True)

    def explain(self, error: ManagerError, work: Work) -> Optional[Failure]:
        """Return what went wrong, in words; None if that is not known."""
        return None

    @classmethod
    def problems(
        cls, prefix: Path, lists: Lists, found: Inventory, before: Mapping[str, str]
    ) -> List[str]:
        """Return what of the lists is missing, by what was found in an environment.

        `before` has the version of each package when it was proved last; empty if it never was.
        """
        return found.problems
