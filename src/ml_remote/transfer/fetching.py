"""Fetching `outputs/` from the machine: what is new there, and nothing else.

What comes is kept in `outputs/.incoming` until it is complete, so an interrupted transfer continues
from there, and no file in `outputs/` is ever half there. A file that is here as it was fetched is
updated. One that the person has changed stays, and the machine's version is put beside it; where
that is to replace it, the person's version is kept beside it. What was deleted here stays deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import LabError
from ..files import exclusive
from ..machine import Machine
from ..ui.display import Progress
from .choosing import EVERYTHING, Choice
from .comparing import Comparison, compare
from .copying import choose_program
from .incoming_files import IncomingFiles
from .manifest import Manifest
from .outputs import INCOMING, LeftOut, Listing, RemoteFile, distinct, list_outputs
from .results import IMPOSSIBLE, Results, is_possible, tells_capitals_apart

__all__ = ["Fetched", "fetch_outputs", "manifest_of"]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The result of fetching outputs. Paths are relative to `outputs/`, with slashes."""

    new: tuple[str, ...] = ()
    """Files that were brought."""
    replaced: tuple[str, ...] = ()
    """Files that were brought in the place of an older version, or of the person's."""
    kept: tuple[str, ...] = ()
    """Files that differ here, and stay as they are here."""
    beside: tuple[str, ...] = ()
    """The names under which the machine's versions of such files were brought."""
    backups: tuple[str, ...] = ()
    """The names under which the person's versions of replaced files are kept."""
    deleted: tuple[str, ...] = ()
    """Files that were deleted here, and stay so."""
    same: int = 0
    """How many files were here already."""
    size: int = 0
    """Bytes of the files that were brought."""
    left_out: tuple[LeftOut, ...] = ()
    """Files that were kept."""
    running: tuple[str, ...] = ()
    """Runs that continue, as `<lab>/<run id>`: their files are not final."""


def manifest_of(outputs: Path) -> Manifest:
    """Return what was fetched to a folder `outputs`; only for the holder of its lock."""
    return Manifest(outputs.parent / ".lab" / "fetched")


def fetch_outputs(
    machine: Machine,
    outputs: Path,
    *,
    only: str = "",
    choice: Choice = EVERYTHING,
    overwrite: bool = False,
    progress: Progress | None = None,
    listing: Callable[[], Listing] | None = None,
) -> Fetched:
    """Fetch the files below the machine's `outputs/` that are not in the folder `outputs` yet.

    `only` names a folder below it, `choice` what is asked for. With `overwrite`, files that differ
    here are replaced, and kept beside. `listing` returns what is there, where that was asked
    already. Raises LabError in words when it could not be completed; what has come stays, and the
    next call continues from there.
    """
    try:
        results = Results(outputs)
        results.check()
        listed = list_outputs(machine, only=only) if listing is None else listing()
        named = choice.is_named or bool(only)
        return _fetch(machine, results, listed, choice, named, overwrite, progress)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise LabError(
            f"{outputs} could not be read or written: {error.strerror}{where}.",
            hint="Free disk space, or fix the permissions of that folder, then: lab pull",
        ) from error


def _fetch(
    machine: Machine,
    results: Results,
    listing: Listing,
    choice: Choice,
    named: bool,
    overwrite: bool,
    progress: Progress | None,
) -> Fetched:
    outputs, impossible = results.path, list[LeftOut]()
    files = choice.of(listing.files)
    with exclusive(outputs / INCOMING):
        manifest = manifest_of(outputs)
        if not tells_capitals_apart(outputs / INCOMING):
            fine, impossible = distinct(listing.files, lambda name: bool(manifest.records(name)))
            files = choice.of(fine)
        impossible += [
            LeftOut(name=file.name, reason=IMPOSSIBLE)
            for file in files
            if not is_possible(file.name, outputs / INCOMING)
        ]
        names = {one.name for one in impossible}
        files = [file for file in files if file.name not in names]
        try:
            found = compare(machine, files, results, manifest, named=named)
            incoming = IncomingFiles(machine, results, manifest, found, overwrite=overwrite)
            wanted = _wanted(found, overwrite=overwrite)
            left_out = _bring(machine, listing, wanted, results, incoming, progress)
        finally:
            manifest.write()
    own = [*(file for file, _ in found.differing), *found.offered]
    running = {
        file.run for file in files if file.run and file.run.partition("/")[2] in listing.running
    }
    return Fetched(
        new=tuple(incoming.new),
        replaced=tuple(incoming.replaced),
        kept=tuple(sorted({file.name for file in own} - set(incoming.replaced))),
        beside=tuple(incoming.beside),
        backups=tuple(incoming.backups),
        deleted=tuple(file.name for file in found.deleted),
        same=found.same,
        size=incoming.size,
        left_out=(*listing.left_out, *impossible, *found.blocked, *left_out, *incoming.left_out),
        running=tuple(sorted(running)),
    )


def _wanted(found: Comparison, *, overwrite: bool) -> list[RemoteFile]:
    changed = [file for file, _ in [*found.outdated, *found.differing]]
    return [*found.missing, *changed, *(found.offered if overwrite else [])]


def _bring(
    machine: Machine,
    listing: Listing,
    wanted: Sequence[RemoteFile],
    results: Results,
    incoming: IncomingFiles,
    progress: Progress | None,
) -> list[LeftOut]:
    """Copy files and move them to their places; return those that the program cannot copy.

    Raises LabError when others did not come.
    """
    if not wanted:
        return []
    copying = choose_program(machine.client, listing, wanted, results.path / INCOMING)
    copying.check_room()
    try:
        copying.run(progress)
    finally:
        incoming.move(copying.files, copying)
    if incoming.incomplete:
        copying.explain(incoming.incomplete)
    shutil.rmtree(copying.folder, ignore_errors=True)
    return copying.left_out
