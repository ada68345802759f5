"""`lab data pull`: fetch what is new or changed in `data/` on the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...context import Context
from ...errors import LabError, RemoteCommandError
from ...next_steps import what_next
from ...ui.display import Progress, transfer_bar
from ...ui.text import in_one_line
from ...ui.words import counted, some
from ..failures import explain_failure
from ..git_errors import cleaned_output
from ..results import BlockedError, Results, is_file, links_below, make_holes
from ..uncommitted import tell_if_not_ignored
from .both_sides import (
    LEAVE_OUT,
    Both,
    amount_in_words,
    both_sides,
    check_room,
    leave_out,
    warn,
    warn_of,
)
from .deleting import ask_to_delete_here, delete_here
from .index import Amount, Entry
from .linking import bring_links
from .programs import FILES_FAILED, VANISHED, Outcome, Rsync, Sftp, choose, staged_name
from .remote_files import text_of
from .selection import PARTIAL

__all__ = ["pull"]


def pull(
    context: Context,
    paths: Sequence[str],
    *,
    alias: str | None = None,
    delete: bool = False,
    overwrite: bool = False,
    yes: bool = False,
) -> None:
    """Run `lab data pull`. Raises LabError; copied files are kept and recorded."""
    tell_if_not_ignored(context.console, context.project.root)
    with both_sides(context, paths, alias=alias, way="look") as both:
        _check_there(both)
        both.settle_equal("changed_here", "changed_both")
        warn(context, both)
        kept = ("changed_here", "changed_both")
        both.index.plan("there_only", "changed_there", *(kept if overwrite else ()))
        agreed = delete and ask_to_delete_here(context, both, yes=yes)
        came = _bring(context, both)
        both.index.remember_same()
        bring_links(context, both)
        _tell(context, both, came, overwrite=overwrite)
        if agreed:
            delete_here(context, both)
        elif not delete and (only := both.index.amount("here_only")).files:
            context.console.say(f"{amount_in_words(only.files, only.size)} only here were kept.")
    context.console.next_step(what_next(context))


def _check_there(both: Both) -> None:
    alias = both.machine.alias
    if not both.there.folder or both.there.state in ("taken", "missing"):
        wanted = both.wanted.folder or f"{both.machine.folder}/data"
        is_taken = both.there.state == "taken"
        why = f"data does not point to {wanted}" if is_taken else f"{wanted} does not exist"
        raise RemoteCommandError(
            f"There is no data on {alias}: {why}.",
            hint="To see what there is: lab data status",
        )
    for name in both.selection.paths:
        if not (both.here / name).exists() and not both.index.has_below("there", os.fsencode(name)):
            raise RemoteCommandError(
                f"There is no data/{in_one_line(name)} on {alias}.",
                hint="To see what there is: lab data status",
            )


@dataclass
class _Placed:
    """What became of the files that were to be fetched."""

    files: int = 0
    size: int = 0
    incomplete: list[bytes] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Files that were changed here meanwhile."""
    blocked: list[str] = field(default_factory=list)
    """Files that cannot be written here."""
    reason: str = ""
    """Why the first of these cannot."""


def _bring(context: Context, both: Both) -> _Placed:
    """Fetch the files of the plan; return what became of them. Raises LabError."""
    placed = _Placed()
    program = choose(both.machine.client, both.there)
    leave_out(context, both, program, "there")
    amount, needed, sparse = both.index.needed("there", held=program.keeps_holes)
    if not amount.files:
        return placed
    folder = _staging(both.here, "rsync" if isinstance(program, Rsync) else "sftp")
    _unshare(both, program, folder)
    check_room(
        needed - _come_before(both, program, folder),
        shutil.disk_usage(folder).free,
        where="here",
        hint="Free disk space, or fetch a part: lab data pull PATH",
    )
    outcome = Outcome(returncode=1, errors="")
    try:
        with transfer_bar("data/") as progress:
            outcome = _run(both, program, folder, amount, sparse, progress)
    finally:
        both.index.remember_brought(_place(both, program, folder, outcome, placed))
    _explain(both, outcome, amount, placed)
    if placed.blocked:
        raise LabError(
            f"{counted(len(placed.blocked), 'file')} cannot be written here: "
            f"{some(placed.blocked)} ({placed.reason}). All others were copied.",
            hint="Check that these can be written, then: lab data pull",
        )
    if not placed.incomplete:
        _clear(both)
    if placed.kept:
        context.console.warn(
            f"{counted(len(placed.kept), 'file')} changed here meanwhile and kept: "
            f"{some(placed.kept)}."
        )
    return placed


def _staging(here: Path, name: str) -> Path:
    """Return the folder for what has come in part. Raises LabError where a link is in the way."""
    here.mkdir(exist_ok=True)
    for link in links_below(here / PARTIAL):
        raise LabError(
            f"data/{link.relative_to(here).as_posix()} is a link, but incomplete files are stored "
            "there. Nothing was copied.",
            hint="Remove data/.lab-partial, then: lab data pull",
        )
    folder = here / PARTIAL / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _clear(both: Both) -> None:
    """Remove what came in part, but not that of files that this command is not about."""
    if not both.selection.paths:
        shutil.rmtree(both.here / PARTIAL, ignore_errors=True)
        return
    for above, _, _ in os.walk(both.here / PARTIAL, topdown=False):
        with suppress(OSError):  # something is in it
            Path(above).rmdir()


def _unshare(both: Both, program: Rsync | Sftp, folder: Path) -> None:
    """Remove what a call that was killed has placed already: it is the same file in `data/`."""
    for one in both.index.planned("there"):
        path = _staged(program, folder, one)
        if is_file(path) and path.stat().st_nlink > 1:
            path.unlink()


def _come_before(both: Both, program: Rsync | Sftp, folder: Path) -> int:
    """Return how many bytes of the plan's files have come in part."""
    kept = (_staged(program, folder, one) for one in both.index.planned("there"))
    return sum(path.stat().st_size for path in kept if is_file(path))


def _staged(program: Rsync | Sftp, folder: Path, entry: Entry) -> Path:
    """Return where a file is until it is complete."""
    return folder / (text_of(entry.name) if isinstance(program, Rsync) else staged_name(entry))


def _run(
    both: Both,
    program: Rsync | Sftp,
    folder: Path,
    amount: Amount,
    sparse: bool,
    progress: Progress | None,
) -> Outcome:
    planned = both.index.planned
    if isinstance(program, Rsync):
        return program.bring(
            folder, planned("there"), total=amount.size, sparse=sparse, progress=progress
        )
    return program.bring(folder, lambda: planned("there"), total=amount.size, progress=progress)


def _place(
    both: Both, program: Rsync | Sftp, folder: Path, outcome: Outcome, placed: _Placed
) -> Iterator[tuple[Entry, int]]:
    """Move complete files to their places; yield each with its time here in nanoseconds."""
    results = Results(both.here)
    for one in both.index.planned("there"):
        name = text_of(one.name)
        staged = _staged(program, folder, one)
        if not _is_complete(staged, one, program, outcome):
            placed.incomplete.append(one.name)
            continue
        try:
            before, now = both.index.entry("here", one.name), results.look(name)
            known = None if before is None else (before.size, before.ns)
            is_as_known = known == (None if now is None else (now.st_size, now.st_mtime_ns))
            if not is_as_known or not results.put(staged, name, replace=now is not None):
                placed.kept.append(name)
                continue
            state = results.look(name)
        except (BlockedError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else "no folder is above it"
            placed.reason = placed.reason or str(why)
            placed.blocked.append(name)
            continue
        placed.files, placed.size = placed.files + 1, placed.size + one.size
        if state is not None:
            yield one, state.st_mtime_ns


def _is_complete(path: Path, entry: Entry, program: Rsync | Sftp, outcome: Outcome) -> bool:
    """Return whether all of a file has come; it then has its time there, too."""
    if not is_file(path):
        return False
    state = path.stat()
    if isinstance(program, Rsync):
        as_listed = (state.st_size, state.st_mtime_ns // 10**9) == (entry.size, entry.ns // 10**9)
        return as_listed or outcome.returncode == 0
    if state.st_size != entry.size:
        return False
    if entry.held < entry.size:
        make_holes(path)
    os.utime(path, ns=(entry.ns, entry.ns))
    return True


def _explain(both: Both, outcome: Outcome, amount: Amount, placed: _Placed) -> None:
    """Raise the LabError that says why files did not come."""
    if not placed.incomplete or outcome.returncode == VANISHED:
        return
    client = both.machine.client
    what = f"Bringing {len(placed.incomplete):,} of {counted(amount.files, 'file')}"
    if outcome.returncode not in (0, FILES_FAILED):
        raise explain_failure(
            client, outcome.errors, what=what, of_ssh=outcome.of_ssh, leave_out=LEAVE_OUT
        )
    said = in_one_line(next(iter(cleaned_output(outcome.errors)), "they changed meanwhile"))
    raise RemoteCommandError(
        f"{what} failed: {some([text_of(name) for name in placed.incomplete])} ({said}). All "
        "others were copied.",
        hint="Check that these files can be read there, then: lab data pull",
        quoted=(said,),
    )


def _tell(context: Context, both: Both, came: _Placed, *, overwrite: bool) -> None:
    """Report what was copied, and what was kept here."""
    console, alias = context.console, both.machine.alias
    if came.files:
        console.say(f"{amount_in_words(came.files, came.size)} copied to data/ from {alias}.")
    elif not came.kept:
        console.say(f"Nothing to fetch: data/ has everything in {both.there.folder} on {alias}.")
    if overwrite:
        return
    replacing = "To replace them here: lab data pull --overwrite PATH"
    warn_of(
        context,
        both,
        "changed_here",
        "changed here, kept",
        f"To send them: lab data push. {replacing}",
    )
    warn_of(
        context,
        both,
        "changed_both",
        f"different here and on {alias}, kept",
        f"To send yours: lab data push --overwrite PATH. {replacing}",
    )
