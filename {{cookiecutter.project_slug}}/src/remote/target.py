"""Where the project lies on the machine: which machine, and which folder there."""

from __future__ import annotations

from dataclasses import dataclass

from .client import Client
from .entry import validate_alias
from .settings import load_settings

__all__ = ["Target", "read_target"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The machine and the project's folder there."""

    client: Client
    folder: str
    """Absolute, or relative to the home directory."""

    @property
    def alias(self) -> str:
        """The name of the machine."""
        return self.client.alias


def read_target(alias: str | None = None) -> Target:
    """Return the target that `lab.toml` names, on another machine if `alias` is given.

    Raises LabError when `lab.toml` or the alias cannot be used.
    """
    settings = load_settings()
    client = Client(alias=validate_alias(alias or settings.alias))
    return Target(client=client, folder=settings.folder)
