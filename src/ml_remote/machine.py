"""Where the project is: on which machine, and in which folder."""

from __future__ import annotations

from dataclasses import dataclass

from .ssh.client import Client

__all__ = ["Machine"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine and the project's folder there."""

    client: Client
    folder: str
    """Absolute, or relative to the home directory."""
    prepare: tuple[str, ...] = ()
    """Lines of bash that each job there begins with, as `[slurm] prepare` has them."""

    @property
    def alias(self) -> str:
        """The name of the machine."""
        return self.client.alias
