"""Choosing results: a run, patterns of names, or all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..errors import UsageError
from .outputs import RemoteFile

__all__ = ["EVERYTHING", "Choice", "matches"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The results that a person asks for; all of them if nothing is set."""

    run: str = ""
    """The id of a run, or a part of it."""
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Names that alone are wanted, where it is not the person who asks for them."""

    @property
    def is_named(self) -> bool:
        """Whether something is asked for by name: it comes although it was deleted here."""
        return bool(self.run or self.only)

    def of(self, files: Sequence[RemoteFile]) -> list[RemoteFile]:
        """Return the files that are asked for. Raises UsageError when no one run is meant."""
        runs = _find_runs(files, self.run) if self.run else None
        return [
            file
            for file in files
            if (runs is None or file.run in runs)
            and (not self.only or any(matches(file.name, pattern) for pattern in self.only))
            and not any(matches(file.name, pattern) for pattern in self.exclude)
            and (not self.files or file.name.rpartition("/")[2] in self.files)
        ]


EVERYTHING = Choice()
_SET = re.compile(r"(.+/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(?:_\d+)?)-\d+")


def matches(name: str, pattern: str) -> bool:
    """Return whether a name, its last part, or a folder that it is in, matches a pattern."""
    parts = name.split("/")
    paths = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    return any(fnmatchcase(one, pattern.rstrip("/")) for one in (*paths, *parts))


def _find_runs(files: Sequence[RemoteFile], text: str) -> set[str]:
    """Return `<lab>/<run id>` of the run, or of the sets of the sweep, that a text means."""
    runs = sorted({file.run for file in files if file.run})
    text = text.removeprefix("outputs/").strip("/")
    exact = [run for run in runs if text in (run, run.partition("/")[2])]
    found = exact or [run for run in runs if text in run.partition("/")[2]]
    if len(found) == 1 or (found and len({*map(_sweep, found)}) == 1 and _sweep(found[0])):
        return {*found}
    which, fits = (f"{len(found)} runs", "match") if found else ("No run with results", "matches")
    latest = ", ".join((found or runs)[-3:]) or "none"
    raise UsageError(
        f"{which} on the machine {fits} {text!r}. The latest: {latest}.",
        hint="lab runs --all",
    )


def _sweep(run: str) -> str:
    """Return what the sets of one sweep have in common: all before their number."""
    found = _SET.fullmatch(run)
    return "" if found is None else found[1]
