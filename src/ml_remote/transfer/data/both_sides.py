"""`data/` on both sides, compared: what `push`, `pull` and `status` begin with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...context import Context
from ...errors import LabError, UsageError
from ...machine import Machine
from ...remote_folders import DataFolder, data_folder
from ...signals import interrupt_on_signals
from ...ui.display import steps
from ...ui.text import in_one_line
from ...ui.words import counted, size_in_words, some
from ..results import IMPOSSIBLE, BlockedError, Results, is_possible, tells_capitals_apart
from .index import Index, Side
from .local_files import check_folder, list_local
from .locking import only_one
from .programs import Rsync, Sftp
from .remote_files import RemoteFolder, list_remote, same_on_machine, text_of
from .selection import Selection, is_inside, names_below

__all__ = [
    "LEAVE_OUT",
    "Both",
    "amount_in_words",
    "both_sides",
    "check_room",
    "leave_out",
    "warn",
    "warn_of",
]

LEAVE_OUT = "; or skip these files: name them in .labignore"
"""The end of a hint on such files."""
_NAMED = 5  # names in one message


@dataclass(frozen=True, kw_only=True)
class Both:
    """`data/` here and there."""

    machine: Machine
    here: Path
    there: RemoteFolder
    index: Index
    selection: Selection
    wanted: DataFolder

    def look_again(self) -> RemoteFolder:
        """List the machine's files again."""
        return list_remote(
            self.machine, self.index, self.selection, way="look", folder=self.wanted.folder
        )

    def settle_equal(self, *states: str) -> None:
        """Find the files in these states whose content is the same: only their times differ."""
        names = self.index.equal_sizes(*states)
        if names:
            results = Results(self.here)
            sums = (_sum(results, text_of(name)) for name in names)
            self.index.set_same(same_on_machine(self.machine, names, sums))


def _sum(results: Results, name: str) -> str:
    """Return the SHA-256 of a file here; empty if it is none any more."""
    try:
        return results.sum(name)
    except BlockedError:
        return ""


@contextmanager
def both_sides(
    context: Context, paths: Sequence[str], *, alias: str | None, way: str, must_exist: bool = False
) -> Iterator[Both]:
    """List both sides and compare them; `way` is that of data-folder.sh.

    With `must_exist`, what is named must be here. Raises LabError.
    """
    project = context.project
    here = project.root / "data"
    check_folder(here)
    selection = Selection(project.root, names_below(project.root, paths))
    missing = [name for name in selection.paths if not (here / name).exists()]
    if must_exist and missing:
        raise UsageError(f"There is no data/{in_one_line(missing[0])} here.")
    machine = context.machine(alias)
    wanted = data_folder(machine, project.settings)
    with (
        interrupt_on_signals(),
        only_one(project.state) as remembered,
        _opened(remembered / "index", alias=machine.alias) as index,
    ):
        with steps() as shown:
            shown.line("Looking at data/ here")
            index.take("here", list_local(here, selection))
            shown.line(f"Looking at data/ on {machine.alias}")
            there = list_remote(machine, index, selection, way=way, folder=wanted.folder)
            index.compare(there.folder)
            is_elsewhere = here.is_dir() and here.stat().st_dev != remembered.stat().st_dev
            if not tells_capitals_apart(here if is_elsewhere else remembered):
                index.block_alike()
        yield Both(
            machine=machine,
            here=here,
            there=there,
            index=index,
            selection=selection,
            wanted=wanted,
        )


@contextmanager
def _opened(path: Path, *, alias: str) -> Iterator[Index]:
    """Open the index, and close it. Raises LabError where it cannot be kept on its disk."""
    try:
        with closing(Index(path, alias=alias)) as index:
            yield index
    except sqlite3.OperationalError as error:
        raise LabError(
            f"{path}, which records what was copied, cannot be used ({error}). Copied files were "
            "kept.",
            hint="Check that this disk and the one for temporary files have space and can be "
            "written, then run the command again",
        ) from None


def check_room(needed: int, free: int | None, *, where: str, hint: str) -> None:
    """Raise LabError when there is less room than needed; what is not known counts as enough."""
    if free is not None and needed > free:
        raise LabError(
            f"The files need {size_in_words(needed)}, but the disk {where} has only "
            f"{size_in_words(free)} free. Nothing was copied.",
            hint=hint,
        )


def warn(context: Context, both: Both) -> None:
    """Name what is no file, or cannot be compared, and so stays where it is."""
    index, alias = both.index, both.machine.alias
    reasons: dict[str, list[str]] = {}
    for side, place in (("here", "here"), ("there", f"on {alias}")):
        for raw, kind, target in index.others(side):  # type: ignore[arg-type]
            name = text_of(raw)
            if kind == "l" and is_inside(name, text_of(target)):
                continue  # it is made on the other side, too
            reason = {
                "l": f"linked to outside data/ {place}",
                "t": f"dated after the year 2262 {place}",
                "u": f"not readable {place}",
            }.get(kind, f"of a special kind {place}")
            reasons.setdefault(reason, []).append(name)
    for name, reason in both.there.unusable:
        reasons.setdefault(f"unusable here, because {reason}", []).append(name)
    blocked = [text_of(name) for name in index.names("blocked")]
    if blocked:
        reason = "of different kinds on the two sides, or below such a file"
        reasons.setdefault(reason, []).extend(blocked)
    if alike := [text_of(name) for name in index.names("alike")]:
        reason = "not told from others by the disk here, as only capitals differ"
        reasons.setdefault(reason, []).extend(alike)
    for reason, names in reasons.items():
        context.console.warn(f"{counted(len(names), 'file')} skipped, {reason}: {some(names)}.")


def warn_of(context: Context, both: Both, state: str, what: str, how: str) -> None:
    """Name the files in a state, if there are any: `what` became of them, and `how` to go on."""
    names = [text_of(name) for name in both.index.names(state, most=_NAMED)]
    if names:
        number = both.index.amount(state).files
        named = some(names, total=number)
        context.console.warn(f"{counted(number, 'file')} {what}: {named}. {how}")


def leave_out(context: Context, both: Both, program: Rsync | Sftp, side: Side) -> None:
    """Take out of the plan, and name, what this program cannot copy."""
    reasons: dict[str, list[str]] = {}
    for one in both.index.planned(side):
        reason = program.why_not(one.name)
        if not is_possible(text_of(one.name), both.here):
            reason = IMPOSSIBLE
        if reason:
            reasons.setdefault(reason, []).append(text_of(one.name))
    for reason, names in reasons.items():
        for name in names:
            both.index.drop(name.encode(errors="surrogateescape"))
        context.console.warn(f"{counted(len(names), 'file')} skipped: {reason} ({some(names)}).")


def amount_in_words(files: int, size: int) -> str:
    """Return a number of files and their size for people."""
    return f"{counted(files, 'file')} ({size_in_words(size)})"
