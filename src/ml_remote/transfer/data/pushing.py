"""`lab data push`: send what is new or changed in `data/` to the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ...context import Context
from ...errors import LabError, RemoteCommandError, UsageError
from ...next_steps import what_next
from ...scripts import run_script
from ...ssh.client import Client
from ...ui.display import Progress, transfer_bar
from ...ui.text import in_one_line
from ...ui.words import counted, some
from ..failures import explain_failure
from ..git_errors import cleaned_output
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
from .deleting import ask_to_delete_there, delete_there
from .index import Amount, Entry
from .linking import send_links
from .programs import FILES_FAILED, VANISHED, Outcome, Rsync, Sftp, choose, staged_name
from .remote_files import text_of

__all__ = ["push"]

_FULL = 2**20  # bytes: a disk with less is full


def push(
    context: Context,
    paths: Sequence[str],
    *,
    alias: str | None = None,
    delete: bool = False,
    overwrite: bool = False,
    yes: bool = False,
) -> None:
    """Run `lab data push`. Raises LabError; copied files are kept and recorded."""
    project = context.project
    if project.settings.data_read_only:
        raise LabError(
            f"The data on the machine is {project.settings.data_read_only}, which is read-only "
            "for lab (read_only in [data]). Nothing was sent.",
            hint="To use a copy of your own, set folder in [data] instead",
        )
    if not (project.root / "data").exists():
        raise UsageError(
            "There is no folder data/ here.", hint="Put your files in data/, then: lab data push"
        )
    tell_if_not_ignored(context.console, project.root)
    with both_sides(context, paths, alias=alias, way="make", must_exist=True) as both:
        _check_there(both)
        both.settle_equal("changed_there", "changed_both")
        warn(context, both)
        kept = ("changed_there", "changed_both")
        both.index.plan("here_only", "changed_here", *(kept if overwrite else ()))
        agreed = delete and ask_to_delete_there(context, both, yes=yes)
        sent = _send(context, both, overwrite=overwrite)
        both.index.remember_same()
        send_links(context, both)
        _tell(context, both, sent, overwrite=overwrite)
        if agreed:
            delete_there(context, both)
        elif not delete and (only := both.index.amount("there_only")).files:
            context.console.say(
                f"Kept on {both.machine.alias} only: {amount_in_words(only.files, only.size)}."
            )
    context.console.next_step(what_next(context))


def _check_there(both: Both) -> None:
    """Raise LabError when the folder there is not what it is to be."""
    alias, state = both.machine.alias, both.there.state
    wanted = both.wanted.folder or f"{both.machine.folder}/data"
    if state == "taken":
        raise RemoteCommandError(
            f"data on {alias} already exists and does not point to {wanted}, so it was kept. "
            "Nothing was sent.",
            hint="Move its contents away there, or change folder in [data]",
        )
    if state == "dangling":
        raise RemoteCommandError(
            f"data on {alias} is a broken link. Nothing was sent.",
            hint="Remove it there, or set folder in [data]",
        )
    if not both.there.folder:
        raise RemoteCommandError(
            f"The folder {wanted} on {alias} cannot be made. Nothing was sent.",
            hint="Name another one: folder in [data], in lab.toml or lab.local.toml",
        )
    if not both.there.is_writable:
        raise RemoteCommandError(
            f"You may not write to {both.there.folder} on {alias}. Nothing was sent.",
            hint="If you only need to read it, name it as read_only in [data]",
        )


def _send(context: Context, both: Both, *, overwrite: bool) -> Amount:
    """Send the files of the plan; return what was sent. Raises LabError."""
    program = choose(both.machine.client, both.there)
    leave_out(context, both, program, "here")
    amount, needed, sparse = both.index.needed("here", held=program.keeps_holes)
    if not amount.files:
        return amount
    check_room(
        needed - _come_before(both, program),
        both.there.free,
        where=f"on {both.machine.alias}",
        hint="Free disk space there, send a part (lab data push PATH), or name another disk: "
        "folder in [data]",
    )
    run_script(both.machine, "partial-data", "make")
    both.index.note_begun()
    with transfer_bar("data/") as progress:
        outcome = _run(both, program, amount, sparse, progress, overwrite=overwrite)
    with suppress(LabError):  # that the connection is cut is told where it matters
        run_script(both.machine, "partial-data", "remove")
    if isinstance(program, Rsync) and outcome.returncode == 0:
        return _remember(context, both)
    return _what_came(context, both, outcome, amount)


def _remember(context: Context, both: Both) -> Amount:
    """Remember and return what was sent; warn of what changed meanwhile on one of the sides."""
    index = both.index
    changed = [one.name for one in index.planned("here") if not _is_unchanged(both, one)]
    both.look_again()
    index.remember_changed(changed)
    written = index.incomplete()
    for name in written:
        index.drop(name)
    sent, _, _ = index.needed("here", held=True)
    index.remember_sent()
    index.note_ended()
    for names, what, how in (
        (changed, "changed while being sent", "To send what is new: lab data push"),
        (written, f"changed on {both.machine.alias} meanwhile, not sent",
         "To see what differs: lab data status"),
    ):  # fmt: skip
        if names:
            context.console.warn(
                f"{counted(len(names), 'file')} {what}: {some([text_of(one) for one in names])}. "
                f"{how}"
            )
    return sent


def _run(
    both: Both,
    program: Rsync | Sftp,
    amount: Amount,
    sparse: bool,
    progress: Progress | None,
    *,
    overwrite: bool,
) -> Outcome:
    index = both.index
    if isinstance(program, Rsync):
        return program.send(
            both.here,
            index.planned("here"),
            total=amount.size,
            sparse=sparse,
            keep="none" if overwrite else index.to_keep(),
            progress=progress,
        )
    index.note_there()
    known = set(index.folders("there"))
    outcome = program.send(
        both.here,
        lambda: index.planned("here"),
        both.there.partial,
        total=amount.size,
        progress=progress,
    )
    partial = both.look_again().partial

    def complete() -> Iterator[Entry]:
        for one in index.planned("here"):
            is_complete = partial.get(staged_name(one)) == one.size
            if is_complete and _is_unchanged(both, one) and index.is_as_noted(one.name):
                yield one

    folders = (one for one in _folders_of(complete()) if one not in known)
    moved = program.put(both.here, complete(), folders)
    return outcome if outcome.returncode else moved


def _come_before(both: Both, program: Rsync | Sftp) -> int:
    """Return how many bytes of the plan's files have come in part."""
    kept = both.there.partial
    return sum(
        min(one.size, kept.get(program.kept_as(one), 0)) for one in both.index.planned("here")
    )


def _is_unchanged(both: Both, entry: Entry) -> bool:
    """Return whether a file here is what it was when it was listed."""
    try:
        state = os.stat(both.here / text_of(entry.name))  # noqa: PTH116
    except OSError:
        return False
    return (state.st_size, state.st_mtime_ns) == (entry.size, entry.ns)


def _folders_of(entries: Iterator[Entry]) -> Iterator[bytes]:
    """Yield the folders that these files, in order of their names, are in; each once."""
    before: list[bytes] = []
    for one in entries:
        parts = one.name.split(b"/")[:-1]
        for number in range(len(parts)):
            if parts[: number + 1] != before[: number + 1]:
                yield b"/".join(parts[: number + 1])
        before = parts


def _what_came(context: Context, both: Both, outcome: Outcome, amount: Amount) -> Amount:
    """Record which files reached the machine, and raise LabError for the others."""
    client, index = both.machine.client, both.index
    try:
        there = both.look_again()
    except LabError:
        what = f"Sending {counted(amount.files, 'file')}"
        raise _explained(client, outcome, what=what) from None
    incomplete = index.incomplete()
    for name in incomplete:
        index.drop(name)
    index.remember_sent()
    index.note_ended()
    if not incomplete:
        return amount
    what = f"Sending {len(incomplete):,} of {counted(amount.files, 'file')}"
    if there.free is not None and there.free < _FULL:
        raise RemoteCommandError(
            f"{what} failed: the disk of {both.machine.alias} is full.",
            hint="Free disk space there, then run the command again; it continues where it stopped",
        )
    if outcome.returncode not in (0, FILES_FAILED, VANISHED) and isinstance(
        choose(client, there), Rsync
    ):
        raise _explained(client, outcome, what=what)
    said = in_one_line(
        next(iter(cleaned_output(outcome.errors)), "they changed while they were sent")
    )
    raise RemoteCommandError(
        f"{what} failed: {some([text_of(name) for name in incomplete])} ({said}). All others were "
        "copied.",
        hint="Check that these files can be read here and written there, then: lab data push",
        quoted=(said,),
    )


def _explained(client: Client, outcome: Outcome, *, what: str) -> LabError:
    return explain_failure(
        client, outcome.errors, what=what, is_sent=True, of_ssh=outcome.of_ssh, leave_out=LEAVE_OUT
    )


def _tell(context: Context, both: Both, sent: Amount, *, overwrite: bool) -> None:
    """Report what was sent, and what was kept on the machine."""
    console, alias, index = context.console, both.machine.alias, both.index
    if sent.files:
        console.say(
            f"Sent {amount_in_words(sent.files, sent.size)} to {alias}: {both.there.folder}."
        )
    elif not index.amount("same", "changed_there", "changed_both").files:
        console.say("Nothing to send: there are no files on this computer.")
    else:
        same = index.amount("same")
        console.say(
            f"Nothing to send: {alias} already has {amount_in_words(same.files, same.size)} in "
            f"{both.there.folder}."
        )
    if overwrite:
        return
    replacing = "To replace them there: lab data push --overwrite PATH"
    warn_of(
        context,
        both,
        "changed_there",
        f"changed on {alias}, not sent",
        f"To fetch them: lab data pull. {replacing}",
    )
    warn_of(
        context,
        both,
        "changed_both",
        f"different here and on {alias}, not sent",
        f"To fetch the machine's versions: lab data pull --overwrite PATH. {replacing}",
    )
