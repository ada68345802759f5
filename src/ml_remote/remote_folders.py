"""Folders on the machine for data and downloads, as lab.toml names them, variables included.

What $USER, $HOME, $SCRATCH and $WORK are is asked of a login there. They are put in here, so no
shell reads a value of lab.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import answers
from .errors import ConfigurationError
from .far.login.folder_variables import variables_in, with_values
from .machine import Machine
from .scripts import script
from .settings import Settings
from .tables import PLACED, Tables

__all__ = ["DataFolder", "data_folder", "remote_cache", "settings_for_machine"]

_VALUE = re.compile(r"(?m)^lab-value ([A-Z]+) (.+)$")
_TIMEOUT = 60  # seconds


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """Where the machine has `data/`."""

    folder: str = ""
    """The absolute path of the folder that `data` leads to; empty if it is a folder itself."""
    is_read_only: bool = False
    """Whether it was there before and is never written to."""

    @property
    def way(self) -> str:
        """How it is made: see data-folder.sh."""
        return "link" if self.is_read_only else "make"


def data_folder(machine: Machine, settings: Settings) -> DataFolder:
    """Return where the machine has the data. Raises ConfigurationError, UnusableAnswerError."""
    said = settings.data_read_only or settings.data_folder
    if not said:
        return DataFolder()
    return DataFolder(folder=_there(machine, said), is_read_only=bool(settings.data_read_only))


def remote_cache(machine: Machine, tables: Tables) -> str:
    """Return the absolute folder of `cache` in [environment]; empty where it names none.

    Raises ConfigurationError, UnusableAnswerError.
    """
    said = tables.table("environment").get("cache")
    if not isinstance(said, str) or not re.match(r"[/$]", said):
        return ""
    return _there(machine, said)


def settings_for_machine(machine: Machine, tables: Tables) -> str:
    """Return the text of both files of settings, with the values that variables have there."""
    folders = {
        (table, key): value
        for table, keys in PLACED.items()
        for key in keys
        if isinstance(value := tables.table(table).get(key), str) and "$" in value
    }
    values = _values(machine, folders.values())
    return tables.text({place: _put_in(machine, one, values) for place, one in folders.items()})


def _there(machine: Machine, folder: str) -> str:
    return answers.folder(_put_in(machine, folder, _values(machine, [folder])), asked=folder)


def _put_in(machine: Machine, folder: str, values: Mapping[str, str]) -> str:
    try:
        return with_values(folder, values)
    except KeyError as missing:
        raise ConfigurationError(
            f"A folder in lab.toml or lab.local.toml is {folder!r}, but the variable "
            f"{missing.args[0]} is not set when you log in to {machine.alias}.",
            hint="Name the folder in full, or set that variable in your start-up files there",
        ) from None


def _values(machine: Machine, folders: Iterable[str]) -> dict[str, str]:
    """Return the values that the variables in these folders have on the machine."""
    names = sorted({name for folder in folders for name in variables_in(folder)})
    if not names:
        return {}
    said = machine.client.run_script(script("login-values"), *names, timeout=_TIMEOUT).stdout
    return {
        name: answers.checked(answers.USER if name == "USER" else answers.FOLDER, value)
        for name, value in _VALUE.findall(said)
        if name in names
    }
