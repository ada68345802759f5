"""What every command is given: the project, the console, and the way to the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import NoProjectError
from .project import Project, current_folder
from .ui.console import Console

if TYPE_CHECKING:
    from .machine import Machine

__all__ = ["Context"]


class Context:
    """One call of `lab`; made once, in `cli.main`, and passed to the command."""

    def __init__(self, *, project: Project | None, console: Console | None = None) -> None:
        self._project = project
        self.console = console or Console()

    @property
    def project(self) -> Project:
        """The project that one is in. Raises ConfigurationError where there is none."""
        if self._project is None:
            raise NoProjectError(current_folder())
        return self._project

    def machine(self, alias: str | None = None) -> Machine:
        """Return the machine that `lab.toml` names, or another one: `alias`.

        Raises LabError when `lab.toml` or the alias cannot be used.
        """
        from .machine import Machine
        from .ssh.client import Client

        client = Client(alias=self.project.alias(alias))
        return Machine(client=client, folder=self.project.settings.folder)
