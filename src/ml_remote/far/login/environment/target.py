"""What the laptop asks before it carries wheels here: which this machine takes."""

import json
import platform
from pathlib import Path

from .commands import answer
from .managers import CONDA_FAMILY
from .places import Places
from .programs import find_program
from .pythons import find_python
from .record import read_record
from .settings import Settings

__all__ = ["describe"]

_TAGS = Path(__file__).resolve().parent / "probes" / "tags.py"


def describe(root: Path, settings: Settings) -> str:
    """Return, as JSON, which wheels the Python takes that would make the environment.

    Where none is new enough that is `found`, the version of the one that runs this. Where conda
    keeps an environment that works, it is conda's name, `keeper`.
    """
    keeper = _keeper(root, settings)
    if keeper:
        return json.dumps({"keeper": keeper})
    python = find_python(settings.python)
    text = answer([python, "-B", str(_TAGS)]) if python else None
    if not text:
        return json.dumps({"found": platform.python_version()})
    values = json.loads(text)
    values["uv"] = find_program("uv", root / ".lab" / "uv" / "bin") is not None
    return json.dumps(values)


def _keeper(root: Path, settings: Settings) -> str:
    """Return which of conda and its like made the environment and keeps it; "" for none."""
    current = Places(root, settings.folder).current
    record = read_record(current) if current is not None else None
    if settings.manager != "auto" or record is None or not record.complete:
        return ""
    return record.manager if record.manager in CONDA_FAMILY else ""
