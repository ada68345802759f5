"""The project that a command is about: its folder, its settings, and where things are in it."""

from __future__ import annotations

import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .state import NAME as STATE

if TYPE_CHECKING:
    from .settings import Settings
    from .tables import Tables

__all__ = ["Project", "current_folder", "nearest_root"]

_SAMPLES = ("labs/mnistlab.py", "labs/treelab.py")
_ANY = "LAB"


class Project:
    """A repository with a `lab.toml`; what that file says is read when it is first needed."""

    def __init__(self, *, root: Path) -> None:
        self.root = root

    @cached_property
    def settings(self) -> Settings:
        """What `lab.toml` and `lab.local.toml` say. Raises ConfigurationError."""
        from .settings import read_settings

        return read_settings(self.tables)

    @cached_property
    def tables(self) -> Tables:
        """The tables of both files, unchecked. Raises ConfigurationError when one is not TOML."""
        from .tables import read_tables

        return read_tables(self.root)

    @property
    def state(self) -> Path:
        """The folder of what the tool remembers about this project here; git ignores it."""
        return self.root / STATE

    @property
    def outputs(self) -> Path:
        """The folder that results are fetched into."""
        return self.root / "outputs"

    @property
    def has_labs(self) -> bool:
        """Whether there is a lab that can be named in a command."""
        return self.example != _ANY

    @property
    def example(self) -> str:
        """A lab to name in a command: one's own newest one, else a sample, else a word for any."""
        folder = self.root / "labs"
        labs = {
            f"labs/{path.name}": path.stat().st_mtime
            for path in sorted(folder.glob("*.py"))
            if path.name.isprintable() and path.name[0] != "_" and path.is_file()
        }
        own = [name for name in labs if name not in _SAMPLES]
        if own:
            return shlex.quote(max(own, key=labs.__getitem__))
        return next((name for name in _SAMPLES if name in labs), _ANY)

    def alias(self, given: str | None = None) -> str:
        """Return the alias to work with: the one `given` on the command line, else `lab.toml`'s.

        Raises UsageError when it may not be an alias, ConfigurationError as `settings` does.
        """
        from .ssh.address import validate_alias

        return validate_alias(self.settings.alias if given is None else given)


def current_folder() -> Path | None:
    """Return the folder that one is in; None when it has been removed."""
    try:
        return Path.cwd()
    except OSError:
        return None


def nearest_root(folder: Path | None = None) -> Path | None:
    """Return the nearest folder with a `lab.toml`: `folder` (or where one is), or one above it."""
    here = folder or current_folder()
    if here is None:
        return None
    return next((one for one in (here, *here.parents) if (one / "lab.toml").is_file()), None)
