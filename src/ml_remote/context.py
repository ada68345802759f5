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
        self.is_on_node = False
        """Whether `--node` was given: the machine is then its default compute node."""
        self._has_warned = False
        self._is_checked = False

    @property
    def project(self) -> Project:
        """The project of the current folder. Raises ConfigurationError if there is none.

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
        """Warn about unknown settings in `lab.local.toml`, which are often typing errors."""
        if self._has_warned:
            return
        self._has_warned = True
        try:
            unknown = project.tables.unknown()
        except ConfigurationError:
            return  # told by whoever needs the settings
        if unknown:
            names = ", ".join(unknown)
            self.console.warn(f"lab.local.toml has settings that lab does not know: {names}.")

    def alias(self, given: str | None = None) -> str:
        """Return the alias to work with: `given`, which hints then name, else `lab.toml`'s.

        Raises LabError when `lab.toml` or the alias cannot be used.
        """
        alias = self.project.alias(given)
        if self.is_on_node:
            from .ssh.compute_nodes import alias_of_node

            given, self.console.login_node = alias_of_node(alias), given or ""
            alias = given
        elif given is not None and given.startswith(f"{self.project.settings.alias}-"):
            self.console.login_node = ""
        if given is not None and given != self.project.settings.alias:
            self.console.alias = alias
        return alias

    def machine(self, alias: str | None = None) -> Machine:
        """Return the machine that `lab.toml` names, or another one: `alias`.

        Raises LabError when `lab.toml` or the alias cannot be used.
        """
        return self._machine(self.alias(alias))

    def one_of_several(self, alias: str) -> Machine:
        """Return a machine beside others: the commands that hints propose do not name it."""
        return self._machine(self.project.alias(alias))

    def _machine(self, alias: str) -> Machine:
        from .machine import Machine
        from .ssh.client import Client

        settings = self.project.settings
        client = Client(alias=alias)
        return Machine(client=client, folder=settings.folder, prepare=settings.slurm.prepare)
