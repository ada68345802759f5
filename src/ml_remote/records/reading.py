"""The records of runs whose results are here: `run.json` and the metrics beside it.

All of it has come from a machine. What becomes a command or a path again is checked as `about.json`
is; of the rest only texts and numbers are taken, which `ui.text` makes fit to be shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import answers
from ..far.login.metrics import CURVES, METRICS, Known, metrics_of, parameters_of, read_object
from ..far.login.record import DIFFERENCE, RECORD
from ..jobs.about import DamagedError, Run, run_of

__all__ = ["FILES", "Record", "read_record", "records_in"]

FILES = (RECORD, METRICS, CURVES)
"""The files among the results of a run that say what it was, and how well it did."""

_LONGEST = 300  # characters of a text
_LONGEST_RUN = 10**10  # seconds


_NOTHING = Known({}, is_full=False)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known about a run; unknown values are empty or None."""

    folder: Path
    id: str
    name: str
    """The folder of its results below `outputs/`: `<lab>/<run id>`."""
    run: Run | None = None
    """What ran; None if the record does not say, as those of older versions."""
    commit: str = ""
    dirty: bool | None = None
    difference: str = ""
    """The file beside it that says what was not committed."""
    lock: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    host: str = ""
    sweep: str = ""
    set: int | None = None
    """The number of its parameters in the sweep."""
    started: datetime | None = None
    ended: datetime | None = None
    seconds: float | None = None
    exit_code: int | None = None
    known: Known = _NOTHING
    """Its parameters."""
    metrics: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def lab(self) -> str:
        """The first part of its name."""
        return self.name.partition("/")[0]


def records_in(outputs: Path) -> list[Record]:
    """Return the records of all runs whose results are here, the oldest first.

    A run of an older version, which has metrics alone, is one, too.
    """
    found = [read_record(folder) for folder in _folders(outputs)]
    return sorted(found, key=lambda one: (_counted(one.id), one.name))


def _counted(run_id: str) -> list[str | int]:
    """Return what puts ids in order: set 2 of a sweep comes before set 10."""
    parts = re.split("([0-9]+)", run_id)
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def read_record(folder: Path, *, values: Mapping[str, Any] | None = None) -> Record:
    """Return what the results in a folder say of their run; `values` stands for its `run.json`."""
    if values is None:
        values = read_object(folder / RECORD)
    try:
        run = run_of(values) if "lab" in values or "command" in values else None
    except DamagedError:
        run = None
    said_commit, sweep = values.get("commit"), values.get("sweep")
    versions = values.get("versions")
    dirty, difference = values.get("dirty"), values.get("difference")
    return Record(
        folder=folder,
        id=folder.name,
        name=f"{folder.parent.name}/{folder.name}",
        run=run,
        commit=said_commit if answers.is_a(answers.COMMIT, said_commit) else "",  # type: ignore[arg-type]
        dirty=dirty if isinstance(dirty, bool) else None,
        difference=DIFFERENCE if difference == DIFFERENCE else "",
        lock=_text(values.get("lock")),
        versions={
            _text(name): _text(version)
            for name, version in (versions.items() if isinstance(versions, dict) else ())
            if isinstance(version, str)
        },
        device=_text(values.get("device")),
        host=_text(values.get("host")),
        sweep=sweep if answers.is_a(answers.JOB, sweep) else "",  # type: ignore[arg-type]
        set=_number(values.get("set")),
        started=_time(values.get("started")),
        ended=_time(values.get("ended")),
        seconds=_seconds(values.get("seconds")),
        exit_code=_number(values.get("exit_code")),
        known=parameters_of(folder, values),
        metrics=metrics_of(folder),
    )


def _folders(outputs: Path) -> Iterator[Path]:
    """Yield the folders of results in `outputs/`, links and what has come in part left out."""
    for lab in _below(outputs):
        for folder in _below(lab):
            if any((folder / name).is_file() for name in FILES):
                yield folder


def _below(folder: Path) -> list[Path]:
    try:
        return [
            path
            for path in folder.iterdir()
            if not path.name.startswith(".") and not path.is_symlink() and path.is_dir()
        ]
    except OSError:
        return []


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if type(value) is int and abs(value) < 10**9 else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LONGEST_RUN and math.isfinite(value) else None


def _time(value: object) -> datetime | None:
    """Return a moment of ISO 8601; None for any other text."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
