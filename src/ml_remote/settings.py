"""What `lab.toml` says about this project, read and checked."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .errors import ConfigurationError
from .project import project_root
from .slurm.options import SlurmOptions, read_options
from .ssh.address import validate_alias

__all__ = [
    "ENVIRONMENT_MANAGERS",
    "Settings",
    "load_settings",
    "machine_alias",
    "project_root",
]

ENVIRONMENT_MANAGERS = ("auto", "conda", "mamba", "micromamba", "uv", "venv")
DEFAULT_IDLE_HOURS = 12.0
_KEYS = {
    "project": ("package",),
    "remote": ("alias", "folder"),
    "environment": ("manager", "python"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The contents of `lab.toml`. Nothing in it is personal."""

    package: str
    """The folder below src/ that the labs import."""
    alias: str
    """The name of the remote machine in the SSH configuration."""
    folder: str
    """Where the project lies on the remote machine: absolute, or relative to the home directory."""
    manager: str
    """What makes the environment there: one of ENVIRONMENT_MANAGERS."""
    python: str
    """The version of Python to ask for, such as "3.12"."""
    idle_hours: float = DEFAULT_IDLE_HOURS
    """After how many unused hours a JupyterLab or TensorBoard there ends; 0 means never."""
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    """What `lab run --slurm` asks for."""


def machine_alias(given: str | None) -> str:
    """Return the alias to work with: the one `given` on the command line, else that of `lab.toml`.

    Raises UsageError when it may not be an alias, ConfigurationError as load_settings does.
    """
    return validate_alias(load_settings().alias if given is None else given)


def load_settings(root: Path | None = None) -> Settings:
    """Read `lab.toml` in `root` (this project's folder unless told otherwise).

    Raises ConfigurationError, naming the file and the key, when it is missing, is not TOML, lacks a
    value, or holds one that cannot be used.
    """
    path = (root or project_root()) / "lab.toml"
    try:
        tables = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path} does not exist; it names the remote machine.",
            hint="Bring it back: git checkout -- lab.toml",
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{path} is not valid TOML: {error}.",
            hint="See what was changed: git diff lab.toml",
        ) from None

    values = {key: _text(tables, table, key, path) for table in _KEYS for key in _KEYS[table]}
    if values["manager"] not in ENVIRONMENT_MANAGERS:
        raise ConfigurationError(
            f"{path}: manager in [environment] is {values['manager']!r}; "
            f"allowed are {', '.join(ENVIRONMENT_MANAGERS)}."
        )
    if not values["package"].isidentifier():
        raise ConfigurationError(
            f"{path}: package in [project] is {values['package']!r}; it must be a name that Python "
            "can import, such as handwriting_lab."
        )
    _check_folder(values["folder"], path)
    return Settings(
        **values, idle_hours=_idle_hours(tables, path), slurm=read_options(tables, path)
    )


def _check_folder(folder: str, path: Path) -> None:
    """Raise ConfigurationError when the folder is not below the home directory, nor absolute."""
    parts = PurePosixPath(folder).parts
    if folder.startswith(("~", "-")) or ".." in parts or parts in ((), ("/",)):
        raise ConfigurationError(
            f"{path}: folder in [remote] is {folder!r}; it must be a folder of the project's own, "
            'relative to your home directory there ("work/lab", without "~/") or absolute.'
        )


def _text(tables: Mapping[str, object], table: str, key: str, path: Path) -> str:
    """Return one value, which must be a string with something in it and no control characters."""
    section = tables.get(table)
    value = section.get(key) if isinstance(section, Mapping) else None
    if value is None:
        raise ConfigurationError(f'{path} lacks {key} in [{table}]. Add a line: {key} = "..."')
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigurationError(
            f"{path}: {key} in [{table}] is {value!r}; it must be one line of text in quotes."
        )
    return value


def _idle_hours(tables: Mapping[str, object], path: Path) -> float:
    """Return the optional idle_hours in [sessions], which must be a number and not negative."""
    section = tables.get("sessions", {})
    value = section.get("idle_hours", DEFAULT_IDLE_HOURS) if isinstance(section, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(
            f"{path}: idle_hours in [sessions] is {value!r}; it must be a number of hours, such as "
            "12 or 0.5; 0 means that a session never ends by itself."
        )
    return float(value)
