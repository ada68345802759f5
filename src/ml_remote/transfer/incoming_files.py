"""Move files that came from the machine to where they belong in `outputs/`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..machine import Machine
from .comparing import Comparison, record_of
from .copying import Copying
from .manifest import Manifest, Record
from .outputs import LeftOut, RemoteFile
from .results import BlockedError, Results

__all__ = ["IncomingFiles"]


class IncomingFiles:
    """Moves each complete file to its place, and records what became of it.

    Each is written down in the manifest before it gets there. What has changed here since it was
    compared counts as the person's.
    """

    def __init__(
        self,
        machine: Machine,
        results: Results,
        manifest: Manifest,
        found: Comparison,
        *,
        overwrite: bool,
    ) -> None:
        self.new: list[str] = []
        self.replaced: list[str] = []
        self.beside: list[str] = []
        self.backups: list[str] = []
        self.incomplete: list[RemoteFile] = []
        self.left_out: list[LeftOut] = []
        self.size = 0
        self._machine = machine
        self._results = results
        self._manifest = manifest
        self._missing = {file.name for file in found.missing}
        self._outdated = {file.name: here for file, here in found.outdated}
        self._overwrite = overwrite

    def move(self, files: Iterable[RemoteFile], copying: Copying) -> None:
        """Move the files that are complete to their places."""
        for file in files:
            if not copying.is_complete(file):
                self.incomplete.append(file)
                continue
            came = copying.as_it_came(file)
            record = record_of(came, self._machine, copying.sum(file))
            try:
                self._move(copying.staged(file), record)
            except BlockedError:
                self._forget_missing(file.name)
                self.left_out.append(LeftOut(name=file.name, reason="a link is in the way here"))
            except OSError as error:
                self._forget_missing(file.name)
                reason = f"they cannot be written here ({error.strerror})"
                self.left_out.append(LeftOut(name=file.name, reason=reason))
            else:
                self.size += came.size

    def _forget_missing(self, name: str) -> None:
        """Forget a file that did not get to its place, or it would count as deleted here."""
        if name in self._missing:
            self._manifest.forget(lambda known: known == name)

    def _move(self, path: Path, record: Record) -> None:
        name = record.name
        if name in self._missing:
            self._put(path, record, replacing=False)
        elif name in self._outdated and self._is_untouched(name):
            self._put(path, record, replacing=True)
        elif self._overwrite:
            stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
            self.backups.append(self._results.keep(name, f".mine-{stamp}"))
            self._put(path, record, replacing=True)
        else:
            self._put_beside(path, record)

    def _put(self, path: Path, record: Record, *, replacing: bool) -> None:
        self._manifest.add(record)
        if self._results.put(path, record.name, replace=replacing):
            (self.replaced if replacing else self.new).append(record.name)
        else:  # something has come there meanwhile: it stays
            self._manifest.forget(lambda name: name == record.name)
            self._put_beside(path, record)

    def _put_beside(self, path: Path, record: Record) -> None:
        """Put the machine's version beside the person's, in the place of the one before."""
        before = self._manifest.beside(record.name)
        if before is not None and before.sum == self._results.sum(before.beside):
            second, replacing = before.beside, True
        else:
            second = self._results.free_name(record.name, f".from-{record.alias}")
            replacing = False
        self._manifest.add(replace(record, beside=second))
        if self._results.put(path, second, replace=replacing):
            self.beside.append(second)

    def _is_untouched(self, name: str) -> bool:
        """Return whether a file is what it was when it was compared."""
        now, then = self._results.look(name), self._outdated[name]
        return now is not None and (now.st_ino, now.st_size, now.st_mtime_ns) == (
            then.st_ino,
            then.st_size,
            then.st_mtime_ns,
        )
