"""Report to the laptop which wheels this machine accepts."""

import json
import os
import platform
from pathlib import Path
from typing import Any, Dict

from .commands import answer
from .environments import Environments
from .managers import CONDA_FAMILY
from .programs import find_program
from .pythons import find_python
from .record import read_record
from .settings import Settings

__all__ = ["describe"]

_TAGS = Path(__file__).resolve().parent / "probes" / "tags.py"


def describe(root: Path, settings: Settings) -> str:
    """Return, as JSON, which wheels the Python takes that would make the environment.

    Where none is new enough `found` is the version of the one that runs this, and the rest is about
    the Python that may be brought. Where conda keeps an environment that works, it is conda's name,
    `keeper`.
    """
    keeper = _keeper(root, settings)
    if keeper:
        return json.dumps({"keeper": keeper})
    python = find_python(settings.python)
    text = answer([python, "-B", str(_TAGS)]) if python else None
    values = json.loads(text) if text else _brought(settings)
    values["uv"] = find_program("uv", root / ".lab" / "uv" / "bin") is not None
    return json.dumps(values)


def _brought(settings: Settings) -> Dict[str, Any]:
    """Return what a Python takes that is brought to this machine: what fits its glibc."""
    values = {"found": platform.python_version(), "python": settings.python}
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        newest = int(version.split(".")[1])
    except (AttributeError, OSError, ValueError):
        return values
    machine = platform.machine()
    tags = ["manylinux_2_{}_{}".format(number, machine) for number in range(newest, 16, -1)]
    tags += ["manylinux2014_" + machine, "linux_" + machine]
    return dict(values, platforms=tags) if name == "glibc" else values


def _keeper(root: Path, settings: Settings) -> str:
    """Return which of conda and its like made the environment and keeps it; "" for none."""
    current = Environments(root, settings.folder).current
    record = read_record(current) if current is not None else None
    if settings.manager != "auto" or record is None or not record.complete:
        return ""
    return record.manager if record.manager in CONDA_FAMILY else ""
