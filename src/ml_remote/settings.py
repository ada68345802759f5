"""What `lab.toml` and `lab.local.toml` say about this project, checked.

Keys and tables that are not known are left alone: a newer `lab` may know them. docs/contract.md
says what each `format` means.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .errors import ConfigurationError
from .far.login.folder_variables import NAMES, variables_in
from .node_options import NodeOptions, read_node_options
from .slurm_options import SlurmOptions, read_options
from .tables import LOCAL_FILE, PLACED, Tables

__all__ = [
    "ENVIRONMENT_MANAGERS",
    "FORMAT",
    "SOURCES",
    "TORCH_BUILDS",
    "Settings",
    "is_source",
    "read_settings",
]

SOURCES = ("uv.lock", "environment.yml", "environment.yaml", "pyproject.toml", "requirements.txt")
"""The lists that a repository of its own may have, in the order in which they count."""
FORMAT = 2
"""The newest format of a project that this tool knows; it works with every older one."""
ENVIRONMENT_MANAGERS = ("auto", "conda", "mamba", "micromamba", "uv", "venv")
TORCH_BUILDS = re.compile(r"auto|cpu|xpu|cu[1-9][0-9]{1,2}|rocm[1-9][0-9]*(\.[0-9]+){1,2}")
"""What uv knows as a `--torch-backend`, which builds of torch there are."""
DEFAULT_IDLE_HOURS = 12.0
DEFAULT_CARD_IDLE_HOURS = 2.0
DEFAULT_PYTHON = "3.12"
DEFAULT_MOST_MB = 50.0
DEFAULT_MOST_FILES = 1000
OLDEST_PYTHON = 11  # of Python 3
_NOT_RESULTS = (".lab", ".git", ".venv", "outputs")  # in the project, and no results
_PYTHON = re.compile(r"3\.([0-9]{1,2})(?:\.[0-9]{1,2})?")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The contents of `lab.toml` and `lab.local.toml`."""

    alias: str
    """The name of the remote machine in the SSH configuration."""
    folder: str
    """Where the project is on the remote machine: absolute, or relative to the home directory."""
    format: int = FORMAT
    """What project and tool may expect of each other; 1 is a project with the tool copied in it."""
    package: str | None = None
    """The folder below src/ that the labs import, if there is one."""
    manager: str = ENVIRONMENT_MANAGERS[0]
    """What makes the environment there: one of ENVIRONMENT_MANAGERS."""
    python: str = DEFAULT_PYTHON
    """The version of Python to ask for, such as "3.12"."""
    source: str = ""
    """`from`: the list that the environment is made from; empty leaves it to what is there."""
    in_job: bool = False
    """Whether the environment is made in a job of Slurm, as on login nodes that limit CPU time."""
    torch: str = ""
    """The build of torch to install, such as "cpu" or "cu126"; empty leaves it to the manager."""
    idle_hours: float = DEFAULT_IDLE_HOURS
    """After how many unused hours a JupyterLab or TensorBoard there ends; 0 means never."""
    keep_kernels: bool = True
    """Whether a kernel there outlives the editor's window."""
    card_idle_hours: float = DEFAULT_CARD_IDLE_HOURS
    """After how many hours a kernel ends that no window shows and that has memory on a card."""
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    """What `lab run --slurm` asks for."""
    node: NodeOptions = field(default_factory=NodeOptions)
    """What `lab node` asks for."""
    output_folders: tuple[str, ...] = ()
    """Folders of the project, beside outputs/, whose new files are results of a run."""
    data_folder: str = ""
    """Where the machine has the data, if not in the project; it may name variables."""
    data_read_only: str = ""
    """A folder of the machine with data that is only read; it may name variables."""
    most_mb: float = DEFAULT_MOST_MB
    """How many megabytes a push takes that are not committed."""
    most_files: int = DEFAULT_MOST_FILES
    """How many files a push takes that git does not know."""
    notify_command: tuple[str, ...] = ()
    """What is given the sentence of `lab run --notify`; empty leaves it to the system."""


def read_settings(tables: Tables) -> Settings:
    """Return what these tables say.

    Raises ConfigurationError, naming the file and the key, when a value is missing, cannot be used,
    or belongs to a newer format.
    """
    known = _format(tables)  # first: what else is wrong may be a matter of the format
    package = _text(tables, "project", "package", default=None)
    if package is not None and not package.isidentifier():
        raise ConfigurationError(
            f"{tables.source('project', 'package')}: package in [project] is {package!r}; it must "
            "be a name that Python can import, such as handwriting_lab."
        )
    manager = _required(tables, "environment", "manager", default=ENVIRONMENT_MANAGERS[0])
    if manager not in ENVIRONMENT_MANAGERS:
        raise ConfigurationError(
            f"{tables.source('environment', 'manager')}: manager in [environment] is {manager!r}; "
            f"it must be one of {', '.join(ENVIRONMENT_MANAGERS)}."
        )
    alias = _required(tables, "remote", "alias")
    folder = _required(tables, "remote", "folder")
    _check_folder(folder, tables.source("remote", "folder"))
    data_folder, data_read_only = _data_folders(tables)
    slurm = read_options(tables)
    return Settings(
        format=known,
        package=package,
        alias=alias,
        folder=folder,
        manager=manager,
        python=_python(tables),
        source=_source(tables),
        torch=_torch(tables),
        in_job=_truth(tables, "environment", "in_job", default=False),
        idle_hours=_hours(tables, "idle_hours", DEFAULT_IDLE_HOURS),
        keep_kernels=_truth(tables, "sessions", "keep_kernels", default=True),
        card_idle_hours=_hours(tables, "card_idle_hours", DEFAULT_CARD_IDLE_HOURS),
        slurm=slurm,
        node=read_node_options(tables, slurm),
        output_folders=_output_folders(tables),
        data_folder=data_folder,
        data_read_only=data_read_only,
        most_mb=_limit(tables, "most_mb", DEFAULT_MOST_MB),
        most_files=int(_limit(tables, "most_files", DEFAULT_MOST_FILES)),
        notify_command=_notify_command(tables),
    )


def _format(tables: Tables) -> int:
    """Return the project's format, which this tool must know; 1 where `lab.toml` names none."""
    value = tables.shared.get("format", 1)
    if type(value) is not int or value < 1:
        raise ConfigurationError(
            f"{tables.project}: format is {value!r}; it must be a whole number, such as {FORMAT}."
        )
    if value > FORMAT:
        raise ConfigurationError(
            f"{tables.project} has format {value}; this version of lab supports formats up to "
            f"{FORMAT}.",
            hint="Run the version that the project pins: uv run lab.py. If that is this one (lab "
            "--version), update the project: uvx cruft update",
        )
    return value


def _check_folder(folder: str, path: Path) -> None:
    """Raise ConfigurationError when the folder is not below the home directory, nor absolute."""
    parts = PurePosixPath(folder).parts
    if folder.startswith(("~", "-")) or ".." in parts or parts in ((), ("/",)):
        raise ConfigurationError(
            f"{path}: folder in [remote] is {folder!r}; it must be a folder for this project "
            "alone, "
            'relative to your home directory there ("work/lab", without "~/") or absolute.'
        )


def _required(tables: Tables, table: str, key: str, *, default: str | None = None) -> str:
    """Return one text. Raises ConfigurationError when it is missing and has no default."""
    value = _text(tables, table, key, default=default)
    if value is None:
        raise ConfigurationError(
            f'{tables.project} has no {key} in [{table}]. Add a line: {key} = "..."'
        )
    return value


def _text(tables: Tables, table: str, key: str, *, default: str | None) -> str | None:
    """Return one value, which must be a string with something in it and no control characters."""
    value = tables.table(table).get(key, default)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigurationError(
            f"{tables.source(table, key)}: {key} in [{table}] is {value!r}; it must be one line of "
            "text in quotes."
        )
    return value


def _python(tables: Tables) -> str:
    """Return the version of Python to ask for, which must be one that labs can run in."""
    value = _required(tables, "environment", "python", default=DEFAULT_PYTHON)
    numbers = _PYTHON.fullmatch(value)
    if numbers is None or int(numbers[1]) < OLDEST_PYTHON:
        raise ConfigurationError(
            f"{tables.source('environment', 'python')}: python in [environment] is {value!r}; it "
            f'must be 3.{OLDEST_PYTHON} or newer, such as "{DEFAULT_PYTHON}".'
        )
    return value


def _source(tables: Tables) -> str:
    """Return the optional `from` in [environment], which must be a list that can be read."""
    name = _text(tables, "environment", "from", default=None)
    if name is not None and not is_source(name):
        raise ConfigurationError(
            f"{tables.source('environment', 'from')}: from in [environment] is {name!r}; it must "
            "be a file of the repository: uv.lock, pyproject.toml, or a .yml or .txt file."
        )
    return name or ""


def is_source(name: str) -> bool:
    """Return whether a list of this name can be read: below the project, of a kind in SOURCES."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] in ((), (".lab",), (".git",)):
        return False
    is_plain = re.fullmatch(r"[\w./ +-]+", name) is not None
    return is_plain and (path.name in SOURCES or path.suffix in (".txt", ".yml", ".yaml"))


def _torch(tables: Tables) -> str:
    """Return the optional torch in [environment], which must be a build that there can be."""
    build = _text(tables, "environment", "torch", default=None)
    if build is not None and not TORCH_BUILDS.fullmatch(build):
        raise ConfigurationError(
            f"{tables.source('environment', 'torch')}: torch in [environment] is {build!r}; it "
            'must be a build of torch: "auto", "cpu", or for a card "cu126", "rocm6.4" or "xpu".'
        )
    return build or ""


def _hours(tables: Tables, key: str, default: float) -> float:
    """Return an optional number of hours in [sessions], which must not be negative."""
    must_be = f"a number of hours, such as {default:g} or 0.5; 0 means never."
    return _number(tables, "sessions", key, default, must_be=must_be)


def _limit(tables: Tables, key: str, default: float) -> float:
    """Return an optional number in [push], which must not be negative."""
    return _number(tables, "push", key, default, must_be=f"a number such as {default:g}.")


def _number(tables: Tables, table: str, key: str, default: float, *, must_be: str) -> float:
    value = tables.table(table).get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(
            f"{tables.source(table, key)}: {key} in [{table}] is {value!r}; it must be {must_be}"
        )
    return float(value)


def _truth(tables: Tables, table: str, key: str, *, default: bool) -> bool:
    """Return an optional value, which must be true or false."""
    value = tables.table(table).get(key, default)
    if not isinstance(value, bool):
        raise ConfigurationError(
            f"{tables.source(table, key)}: {key} in [{table}] is {value!r}; it must be true or "
            "false, without quotes."
        )
    return value


def _output_folders(tables: Tables) -> tuple[str, ...]:
    """Return the optional folders in [outputs], each of which must be in the project."""
    folders = _texts(tables, "outputs", "folders")
    for folder in folders:
        parts = PurePosixPath(folder).parts
        is_inside = parts and folder[0] not in "/~-" and ".." not in parts
        if not is_inside or "\\" in folder or parts[0] in _NOT_RESULTS:
            raise ConfigurationError(
                f"{tables.source('outputs', 'folders')}: folders in [outputs] has {folder!r}; each "
                'must be a folder in the project, such as "checkpoints".'
            )
        if parts[0] == "data":
            raise ConfigurationError(
                f"{tables.source('outputs', 'folders')}: folders in [outputs] has {folder!r}; "
                "data/ is never part of results.",
                hint="Remove it from that list, and fetch it by: lab data pull",
            )
    return tuple(str(PurePosixPath(folder)) for folder in folders)


def _data_folders(tables: Tables) -> tuple[str, str]:
    """Return the optional folder and read_only in [data]; check all folders of the machine."""
    for table, keys in PLACED.items():
        for key in keys:
            _check_variables(tables, table, key)
    folder, read_only = (_text(tables, "data", key, default=None) or "" for key in PLACED["data"])
    if folder and read_only:
        raise ConfigurationError(
            f"{tables.source('data', 'read_only')}: folder and read_only in [data] cannot be "
            "combined.",
            hint="Keep folder for your own data, or read_only for existing data",
        )
    for key, value in zip(PLACED["data"], (folder, read_only), strict=True):
        parts = PurePosixPath(value).parts
        is_path = re.match(r"/.|\$\{?(?:SCRATCH|WORK)\b|\$(?:HOME|\{HOME\})/.", value)
        if value and (is_path is None or ".." in parts):
            raise ConfigurationError(
                f"{tables.source('data', key)}: {key} in [data] is {value!r}; it must be an "
                'absolute folder of the machine, such as "/scratch/$USER/leaves".'
            )
    return folder.rstrip("/"), read_only.rstrip("/")


def _check_variables(tables: Tables, table: str, key: str) -> None:
    """Raise ConfigurationError when a folder of the machine names what it may not."""
    value = tables.table(table).get(key)
    if not isinstance(value, str):
        return  # told by whoever reads it
    try:
        variables_in(value)
    except ValueError:
        allowed = ", ".join(f"${name}" for name in NAMES)
        raise ConfigurationError(
            f"{tables.source(table, key)}: {key} in [{table}] is {value!r}; the only variables "
            f"allowed are {allowed}."
        ) from None


def _notify_command(tables: Tables) -> tuple[str, ...]:
    """Return the optional command in [notify], which may only be one person's."""
    if "notify" in tables.shared:
        raise ConfigurationError(
            f"{tables.project}: [notify] names a program that runs on your computer, so it is "
            f"only allowed in {LOCAL_FILE}.",
            hint="Move [notify] to lab.local.toml, which git ignores",
        )
    return _texts(tables, "notify", "command")


def _texts(tables: Tables, table: str, key: str) -> tuple[str, ...]:
    """Return a list of texts. Raises ConfigurationError when it is none."""
    values = tables.table(table).get(key, [])
    if not isinstance(values, list) or not all(
        isinstance(value, str) and value and value.isprintable() for value in values
    ):
        raise ConfigurationError(
            f"{tables.source(table, key)}: {key} in [{table}] is {values!r}; it must be a list of "
            "strings."
        )
    return tuple(values)
