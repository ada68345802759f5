"""Which results are asked for: a run, patterns of names, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..errors import UsageError
from .outputs import RemoteFile

__all__ = ["EVERYTHING", "Choice", "matches"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a person asks for. Everything, if nothing is set."""

    run: str = ""
    """The id of a run, or a part of it."""
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def is_named(self) -> bool:
        """Whether something is asked for by name: it comes although it was deleted here."""
        return bool(self.run or self.only)

    def of(self, files: Sequence[RemoteFile]) -> list[RemoteFile]:
        """Return the files that are asked for. Raises UsageError when no one run is meant."""
        folder = f"{_find_run(files, self.run)}/" if self.run else ""
        return [
            file
            for file in files
            if file.name.startswith(folder)
            and (not self.only or any(matches(file.name, pattern) for pattern in self.only))
            and not any(matches(file.name, pattern) for pattern in self.exclude)
        ]


EVERYTHING = Choice()


def matches(name: str, pattern: str) -> bool:
    """Return whether a name, its last part, or a folder that it is in, matches a pattern."""
    parts = name.split("/")
    paths = ["/".join(parts[: number + 1]) for number in range(len(parts))]
    return any(fnmatchcase(one, pattern.rstrip("/")) for one in (*paths, *parts))


def _find_run(files: Sequence[RemoteFile], text: str) -> str:
    """Return `<lab>/<run id>` of the run that a text means."""
    runs = sorted({file.run for file in files if file.run})
    text = text.removeprefix("outputs/").strip("/")
    exact = [run for run in runs if text in (run, run.partition("/")[2])]
    found = exact or [run for run in runs if text in run.partition("/")[2]]
    if len(found) == 1:
        return found[0]
    which = "No run with results" if not found else f"{len(found)} runs"
    latest = ", ".join((found or runs)[-3:]) or "none"
    raise UsageError(
        f"{which} on the machine can be meant by {text!r}. The latest: {latest}.",
        hint="lab runs --all",
    )
