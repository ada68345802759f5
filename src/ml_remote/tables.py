"""The tables of `lab.toml` and `lab.local.toml`: read, merged, and written as one text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import ConfigurationError, NoProjectError
from .parsing import parse_toml

__all__ = [
    "FOR_THE_MACHINE",
    "HANDED",
    "KEYS",
    "LOCAL_FILE",
    "ONE_PERSONS",
    "PLACED",
    "PROJECT_FILE",
    "Tables",
    "read_tables",
    "read_toml",
]

PROJECT_FILE = "lab.toml"
"""What everybody who has the repository shares."""
LOCAL_FILE = "lab.local.toml"
"""What is one person's alone: the same tables, ignored by git; its values win."""

KEYS: Mapping[str, frozenset[str]] = {
    "project": frozenset({"package"}),
    "remote": frozenset({"alias", "folder"}),
    "environment": frozenset({"manager", "python", "folder", "cache", "torch", "from", "in_job"}),
    "sessions": frozenset({"idle_hours", "keep_kernels", "card_idle_hours"}),
    "slurm": frozenset({"partition", "time", "gpus", "nodes", "options", "prepare", "node"}),
    "slurm.node": frozenset({"partition", "time", "gpus", "options", "idle_minutes"}),
    "outputs": frozenset({"folders"}),
    "data": frozenset({"folder", "read_only"}),
    "push": frozenset({"most_mb", "most_files"}),
    "notify": frozenset({"command"}),
    "tool": frozenset({"path"}),
}
"""The tables and keys that this tool knows; docs/contract.md says what they mean."""
ONE_PERSONS = ("tool", "notify")
"""Tables that say what runs on this computer: they count in `lab.local.toml` only."""
FOR_THE_MACHINE = ("folder", "cache")
"""Keys of [environment] that count on this computer only in `lab.local.toml`."""
PLACED: Mapping[str, tuple[str, ...]] = {
    "environment": ("folder", "cache"),
    "data": ("folder", "read_only"),
}
"""The keys that are folders on the machine, and may name variables of it."""
HANDED = Path(".lab") / "settings.toml"
"""What `lab setup` leaves on the machine: both files of the laptop as one."""

_Values = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The values of both files, key by key, and which file each is from."""

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

    def text(self, folders: Mapping[tuple[str, str], str] | None = None) -> str:
        """Return both files as the text of one TOML file, without their remarks.

        `folders` are values in place of those of a table and key. Left out is what is about this
        computer, [tool] and [notify], and what only `lab.local.toml` has and nobody knows: it may
        be anything of this person's.
        """
        import tomli_w

        merged = replace(self, local=_known(self.local)).merged
        for (table, key), value in (folders or {}).items():
            merged = _merge(merged, {table: {key: value}})
        return tomli_w.dumps(
            {key: value for key, value in merged.items() if key not in ONE_PERSONS}
        )

    def text_for_here(self) -> str:
        """Return `text` for this computer, on which `lab.toml` names no folder.

        Another person's choice of a folder, or of what a manager has downloaded before, would
        decide what runs here.
        """
        own = self.local.get("environment")
        kept = own if isinstance(own, Mapping) else {}
        shared = dict(self.shared)
        values = shared.get("environment")
        if isinstance(values, Mapping):
            shared["environment"] = {
                key: value
                for key, value in values.items()
                if key not in FOR_THE_MACHINE or key in kept
            }
        return replace(self, shared=shared).text()

    def unknown(self) -> list[str]:
        """Return the tables and keys of `lab.local.toml` that this tool does not know, in words."""
        found = []
        for table, values in self.local.items():
            if table == "format":
                continue
            if table not in KEYS or not isinstance(values, Mapping):
                found += [] if table in KEYS else [_suggested(table, KEYS)]
                continue
            found += [
                f"{_suggested(key, KEYS[table])} in [{table}]"
                for key in values
                if key not in KEYS[table]
            ]
        return found


def read_tables(root: Path) -> Tables:
    """Read the files of the project in `root`.

    Raises ConfigurationError when `lab.toml` is missing, or one of them cannot be read.
    """
    project = root / PROJECT_FILE
    shared = read_toml(project)
    if shared is None:
        raise NoProjectError(root)
    local = read_toml(root / LOCAL_FILE) or {}
    if _is_newest(root / HANDED, project, root / LOCAL_FILE):
        handed = read_toml(root / HANDED) or {}
        local = _merge(
            local, {key: value for key, value in handed.items() if key not in ONE_PERSONS}
        )
    return Tables(project=project, shared=shared, local=local)


def _is_newest(path: Path, *others: Path) -> bool:
    """Return whether a file is there and none of the others is newer."""
    times = [one.stat().st_mtime for one in (path, *others) if one.is_file()]
    return path.is_file() and max(times) == times[0]


def read_toml(path: Path) -> dict[str, object] | None:
    """Return the content of a file, None when it does not exist. Raises ConfigurationError."""
    try:
        return parse_toml(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    except ValueError as error:
        shared = path.name == PROJECT_FILE
        raise ConfigurationError(
            f"{path} is not valid TOML: {error}.",
            hint=f"To see what was changed: git diff {path.name}"
            if shared
            else f"Fix that line; git does not have {path.name}",
        ) from None


def _known(local: _Values) -> dict[str, object]:
    """Return the tables and keys of one person's file that this tool knows."""
    known: dict[str, object] = {}
    for table, values in local.items():
        if table in KEYS:
            is_table = isinstance(values, Mapping)
            known[table] = (
                {key: value for key, value in values.items() if key in KEYS[table]}
                if is_table and isinstance(values, Mapping)
                else values
            )
    return known


def _suggested(name: str, known: Iterable[str]) -> str:
    """Return a name that is not known, with the one that may be meant."""
    from difflib import get_close_matches  # for the few who have made a typing error

    close = get_close_matches(name, known, n=1)
    return f"{name} (did you mean {close[0]}?)" if close else name


def _merge(under: _Values, over: _Values) -> dict[str, object]:
    """Return `under` with the keys of `over` in it; tables in both are merged in turn."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged
