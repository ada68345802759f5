"""The tables of `lab.toml` and `lab.local.toml`: read, merged, and written as one text."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigurationError, NoProjectError

__all__ = ["LOCAL_FILE", "PROJECT_FILE", "Tables", "read_tables", "read_toml"]

PROJECT_FILE = "lab.toml"
"""What everybody who has the repository shares."""
LOCAL_FILE = "lab.local.toml"
"""What is one person's alone: the same tables, ignored by git; its values win."""

_Values = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What both files say, key by key, and which of them says it."""

    project: Path
    """Where `lab.toml` is."""
    shared: _Values
    """The content of `lab.toml`."""
    local: _Values
    """The content of `lab.local.toml`; empty where there is none."""

    @property
    def merged(self) -> dict[str, object]:
        """Both files as one; where both have a key, `lab.local.toml` wins.

        The format is the project's, whatever one person writes.
        """
        formats = {key: value for key, value in self.shared.items() if key == "format"}
        own = {key: value for key, value in self.local.items() if key != "format"}
        return formats | _merge(self.shared, own)

    def source(self, table: str, key: str | None = None) -> Path:
        """Return the file that a value comes from, `lab.toml` when none has it."""
        value = self.local.get(table)
        found = table in self.local if key is None else isinstance(value, Mapping) and key in value
        return self.project.with_name(LOCAL_FILE) if found else self.project

    def table(self, name: str) -> _Values:
        """Return one table, empty where there is none. Raises ConfigurationError if it is none."""
        value = self.merged.get(name, {})
        if not isinstance(value, Mapping):
            raise ConfigurationError(
                f"{self.source(name)}: {name} is {value!r}; it must be a table: [{name}]."
            )
        return value

    def text(self) -> str:
        """Return both files as the text of one TOML file, without their remarks.

        Left out is [tool], which names a folder on this computer.
        """
        import tomli_w

        return tomli_w.dumps({key: value for key, value in self.merged.items() if key != "tool"})


def read_tables(root: Path) -> Tables:
    """Read the files of the project in `root`.

    Raises ConfigurationError when `lab.toml` is missing, or one of them cannot be read.
    """
    project = root / PROJECT_FILE
    shared = read_toml(project)
    if shared is None:
        raise NoProjectError(root)
    return Tables(project=project, shared=shared, local=read_toml(root / LOCAL_FILE) or {})


def read_toml(path: Path) -> dict[str, object] | None:
    """Return the content of a file, None when it does not exist. Raises ConfigurationError."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        shared = path.name == PROJECT_FILE
        raise ConfigurationError(
            f"{path} is not valid TOML: {error}.",
            hint=f"See what was changed: git diff {path.name}" if shared else None,
        ) from None


def _merge(under: _Values, over: _Values) -> dict[str, object]:
    """Return `under` with the keys of `over` in it; tables in both are merged in turn."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged
