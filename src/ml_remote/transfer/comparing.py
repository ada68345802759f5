"""What is in `outputs/` on the machine, compared with what is here and with what was fetched."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from ..machine import Machine
from .copying import is_on_its_way
from .manifest import Manifest, Record
from .outputs import INCOMING, LeftOut, RemoteFile, sums_there
from .results import BlockedError, Results

__all__ = ["Comparison", "compare", "record_of"]

_BLOCKED = "a link or a file is here where their folder would be"


@dataclass(kw_only=True)
class Comparison:
    """Files of the machine, by what to do with them."""

    missing: list[RemoteFile] = field(default_factory=list)
    """Not here."""
    outdated: list[tuple[RemoteFile, os.stat_result]] = field(default_factory=list)
    """Here as they were fetched, or the beginning of them; changed there since."""
    differing: list[tuple[RemoteFile, os.stat_result]] = field(default_factory=list)
    """The person's own, here."""
    offered: list[RemoteFile] = field(default_factory=list)
    """The same, and this version of the machine was put beside it once."""
    deleted: list[RemoteFile] = field(default_factory=list)
    """Were here, and were deleted."""
    blocked: list[LeftOut] = field(default_factory=list)
    same: int = 0


def compare(
    machine: Machine,
    files: Sequence[RemoteFile],
    results: Results,
    manifest: Manifest,
    *,
    named: bool,
) -> Comparison:
    """Compare files of the machine with what is here; what turns out to be the same is noted.

    With `named` they were asked for, and count as missing where they were deleted.
    """
    found = Comparison()
    unsure: list[tuple[RemoteFile, os.stat_result]] = []
    known_runs = manifest.runs()

    @cache
    def is_deleted(run: str) -> bool:
        return run in known_runs and results.look(run) is None

    for file in files:
        try:
            here = results.look(file.name)
            # A process that was killed may have noted a file that it did not move to its place.
            was_deleted = (
                here is None
                and (bool(manifest.records(file.name)) or is_deleted(file.run))
                and not is_on_its_way(results.path / INCOMING, file)
            )
        except BlockedError:
            found.blocked.append(LeftOut(name=file.name, reason=_BLOCKED))
            continue
        if was_deleted and not named:
            found.deleted.append(file)
        elif here is None:
            found.missing.append(file)
        elif _is_as_known(machine, manifest, file, here):
            found.same += 1
        else:
            unsure.append((file, here))
    _compare_contents(machine, unsure, results, manifest, found)
    return found


def record_of(file: RemoteFile, machine: Machine, sum_: str) -> Record:
    """Return the record of a file that is here as it is on the machine."""
    return Record(
        name=file.name,
        size=file.size,
        time=file.time,
        sum=sum_,
        alias=machine.alias,
        settled=file.is_settled,
    )


def _is_as_known(
    machine: Machine, manifest: Manifest, file: RemoteFile, here: os.stat_result
) -> bool:
    """Return whether a file is here as it is there, as far as sizes and times tell."""
    known = manifest.records(file.name)
    # One that was never fetched may be somebody's own, of the same size and second: read it.
    if not known or not record_of(file, machine, "").agrees(here):
        return False
    return known[-1].settled or known[-1].alias != machine.alias


def _compare_contents(
    machine: Machine,
    unsure: Sequence[tuple[RemoteFile, os.stat_result]],
    results: Results,
    manifest: Manifest,
    found: Comparison,
) -> None:
    """Sort the files whose size or time differs from what is here."""
    asked = [
        (file, here)
        for file, here in unsure
        if stat.S_ISREG(here.st_mode) and here.st_size <= file.size
    ]
    there = dict(
        zip(
            (file.name for file, _ in asked),
            sums_there(machine, [(file.name, here.st_size) for file, here in asked]),
            strict=True,
        )
    )
    for file, here in unsure:
        sum_here = results.sum(file.name)
        begins_so = bool(sum_here) and there.get(file.name) == sum_here
        known = manifest.records(file.name)
        offered = manifest.beside(file.name)
        if begins_so and here.st_size == file.size:
            found.same += 1
            manifest.add(record_of(file, machine, sum_here))
        elif (begins_so and not known) or any(
            one.alias == machine.alias
            and (sum_here == one.sum or (not one.sum and one.agrees(here)))
            for one in known
        ):
            found.outdated.append((file, here))
        elif (
            offered is not None
            and offered.settled
            and (
                (offered.size, offered.time, offered.alias) == (file.size, file.time, machine.alias)
            )
        ):
            found.offered.append(file)
        else:
            found.differing.append((file, here))
