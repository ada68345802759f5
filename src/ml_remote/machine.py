"""Where the project lies on the machine: which machine, and which folder there."""

from __future__ import annotations

from dataclasses import dataclass

from .settings import load_settings, machine_alias
from .ssh.client import Client

__all__ = ["Machine", "read_machine"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine and the project's folder there."""

    client: Client
    folder: str
    """Absolute, or relative to the home directory."""

    @property
    def alias(self) -> str:
        """The name of the machine."""
        return self.client.alias


def read_machine(alias: str | None = None) -> Machine:
    """Return the machine that `lab.toml` names, on another machine if `alias` is given.

    Raises LabError when `lab.toml` or the alias cannot be used.
    """
    return Machine(client=Client(alias=machine_alias(alias)), folder=load_settings().folder)
