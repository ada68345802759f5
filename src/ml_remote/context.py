"""What every command is given: the project, the console, and the way to the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ConfigurationError, NoProjectError
from .project import Project, current_folder
from .state import check_links
from .ui.console import Console

if TYPE_CHECKING:
    from .machine import Machine

__all__ = ["Context"]


class Context:
    """One call of `lab`; made once, in `cli.main`, and passed to the command."""

    def __init__(self, *, project: Project | None, console: Console | None = None) -> None:
        self._project = project
        self.console = console or Console()
        self.own_failure: int | None = None
        """The exit code of lab's own failures, where the other codes are those of a program."""
        self._has_warned = False
        self._is_checked = False

    @property
    def project(self) -> Project:
        """The project that one is in. Raises ConfigurationError where there is none.

        It raises it, too, where its folder `.lab` leads elsewhere.
        """
        if self._project is None:
            raise NoProjectError(current_folder())
        if not self._is_checked:
            check_links(self._project.root)
            self._is_checked = True
        self._warn_once(self._project)
        return self._project

    def _warn_once(self, project: Project) -> None:
        """Name what is in `lab.local.toml` and means nothing: it is often a typing error."""
        if self._has_warned:
            return
        self._has_warned = True
        try:
            unknown = project.tables.unknown()
        except ConfigurationError:
            return  # told by whoever needs the settings
        if unknown:
            names = ", ".join(unknown)
            self.console.warn(f"lab.local.toml has what lab does not know: {names}.")

    def alias(self, given: str | None = None) -> str:
        """Return the alias to work with: `given`, which hints then name, else `lab.toml`'s.

        Raises LabError when `lab.toml` or the alias cannot be used.
        """
        alias = self.project.alias(given)
        if given is not None and given != self.project.settings.alias:
            self.console.alias = alias
        return alias

    def machine(self, alias: str | None = None) -> Machine:
        """Return the machine that `lab.toml` names, or another one: `alias`.

        Raises LabError when `lab.toml` or the alias cannot be used.
        """
        from .machine import Machine
        from .ssh.client import Client

        client = Client(alias=self.alias(alias))
        return Machine(client=client, folder=self.project.settings.folder)
