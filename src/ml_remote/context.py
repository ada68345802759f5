"""What every command is given: the project, the console, and the way to the machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .project import Project
from .ui.console import Console

if TYPE_CHECKING:
    from .machine import Machine

__all__ = ["Context"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """One call of `lab`; made once, in `cli.main`, and passed to the command."""

    project: Project
    console: Console = field(default_factory=Console)

    def machine(self, alias: str | None = None) -> Machine:
        """Return the machine that `lab.toml` names, or another one: `alias`.

        Raises LabError when `lab.toml` or the alias cannot be used.
        """
        from .machine import Machine
        from .ssh.client import Client

        client = Client(alias=self.project.alias(alias))
        return Machine(client=client, folder=self.project.settings.folder)
