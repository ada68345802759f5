"""The project that a command is about: its folder, its settings, and where things lie in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .settings import Settings, load_settings
from .ssh.address import validate_alias

__all__ = ["Project"]


@dataclass(frozen=True, kw_only=True)
class Project:
    """A repository with a `lab.toml`; what that file says is read when it is first needed."""

    root: Path

    @cached_property
    def settings(self) -> Settings:
        """What `lab.toml` and `lab.local.toml` say. Raises ConfigurationError."""
        return load_settings(self.root)

    @property
    def state(self) -> Path:
        """The folder of what the tool remembers about this project here; git ignores it."""
        return self.root / ".lab"

    @property
    def outputs(self) -> Path:
        """The folder that results are brought home to."""
        return self.root / "outputs"

    def alias(self, given: str | None = None) -> str:
        """Return the alias to work with: the one `given` on the command line, else `lab.toml`'s.

        Raises UsageError when it may not be an alias, ConfigurationError as `settings` does.
        """
        return validate_alias(self.settings.alias if given is None else given)
