"""Names of runs for TensorBoard: when each began, and how it differs from the others of its lab.

TensorBoard names a run by its folder. So it is given a folder of links to those in `outputs/`, such
as `mnistlab/2026-11-27_14-05-33 learning_rate=0.1`. A run keeps the name under which it was first
seen: TensorBoard would take another one for another run.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ...login.metrics import Known, differing, label, parameters_of, read_object
from ...login.record import RECORD

__all__ = ["NamedRuns"]

_LONGEST = 100  # characters of what differs
_EVENTS = "tfevents"  # in the name of each file that TensorBoard reads


class NamedRuns:
    """A folder of links to the runs in `outputs/`."""

    def __init__(self, outputs: Path, folder: Path) -> None:
        self._outputs = outputs
        self._folder = folder
        self._links: dict[Path, Path] = {}
        """The link to each folder, or file of events, that was seen."""

    def refresh(self) -> None:
        """Link to what is new; links whose folder is gone go, too."""
        for target, link in [*self._links.items()]:
            if not target.exists():
                link.unlink(missing_ok=True)
                del self._links[target]
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in _entries(self._outputs):
            if path.is_dir():
                self._name_runs(path)
            elif _EVENTS in path.name:
                self._link(path, path.name)

    def _name_runs(self, lab: Path) -> None:
        """Link to the runs of one lab that are new."""
        entries = _entries(lab)
        runs = [path for path in entries if path.is_dir()]
        new = [path for path in runs if path not in self._links]
        if new:
            known = {path: _known(path) for path in runs}
            names = differing([*known.values()])
            for path in new:
                how = _plain(label(known[path].values, names))[:_LONGEST].rstrip()
                self._link(path, f"{lab.name}/{path.name}{f' {how}' if how else ''}")
        for path in entries:
            if _EVENTS in path.name and path.is_file():
                self._link(path, f"{lab.name}/{path.name}")

    def _link(self, target: Path, name: str) -> None:
        link = self._folder / name
        if target in self._links:
            return
        with suppress(OSError):  # a name that is too long, or a disk that is full
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
            self._links[target] = link


def _known(folder: Path) -> Known:
    return parameters_of(folder, read_object(folder / RECORD))


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; hidden files and what cannot be read left out."""
    try:
        return sorted(Path(one.path) for one in os.scandir(folder) if not one.name.startswith("."))
    except OSError:
        return []


def _plain(text: str) -> str:
    """Return a text that can be a part of a file's name, and be printed."""
    return "".join(one if one.isprintable() and one != "/" else "_" for one in text)
