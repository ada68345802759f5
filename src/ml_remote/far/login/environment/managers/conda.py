"""conda, mamba and micromamba: the list is environment.yml."""

from pathlib import Path
from typing import List, Optional

from ..commands import run
from ..failures import Failure, ManagerError
from ..inside import Inventory
from ..places import interpreter_of
from ..programs import find_program
from .base import Manager, Work

__all__ = ["Conda", "Mamba", "Micromamba"]


class Conda(Manager):
    """The program `conda`."""

    name = "conda"

    @classmethod
    def find(cls, root: Path, *, hint: str = "") -> Optional["Manager"]:
        """Return it if its program is on this machine."""
        program = find_program(cls.name)
        return cls(program) if program else None

    def make(self, work: Work) -> None:
        """Make the environment from environment.yml, then install the project in it."""
        self._client("env", "update", "--prune", work=work)  # it makes a prefix too
        self._install(work)

    def change(self, work: Work) -> None:
        """Bring it up to date, in place."""
        self._client("env", "update", "--prune", work=work)
        self._install(work)

    @classmethod
    def problems(cls, found: Inventory) -> List[str]:
        """Return nothing: its versions come from its own lock."""
        return []

    def explain(self, error: ManagerError, work: Work) -> Optional[Failure]:
        """Return what its words mean."""
        return None

    def _client(self, *words: str, work: Work) -> None:
        options = ["--prefix", str(work.prefix), "--file", str(work.lists.environment_yml)]
        run([self.program, *words, *options], folder=work.root)

    def _install(self, work: Work) -> None:
        command = [str(interpreter_of(work.prefix)), "-m", "pip", "install", "--no-deps"]
        run([*command, "--no-build-isolation", "--editable", "."], folder=work.root)


class Mamba(Conda):
    """The program `mamba`."""

    name = "mamba"

    def make(self, work: Work) -> None:
        """Make the environment from environment.yml, then install the project in it."""
        self._client("env", "create", "--yes", work=work)
        self._install(work)

    def change(self, work: Work) -> None:
        """Bring it up to date, in place."""
        self._client("env", "update", "--yes", "--prune", work=work)
        self._install(work)


class Micromamba(Conda):
    """The program `micromamba`."""

    name = "micromamba"

    def make(self, work: Work) -> None:
        """Make the environment from environment.yml, then install the project in it."""
        self._client("create", "--yes", work=work)
        self._install(work)

    def change(self, work: Work) -> None:
        """Bring it up to date, in place."""
        self._client("install", "--yes", work=work)
        self._install(work)
