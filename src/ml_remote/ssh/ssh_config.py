"""Writing and removing our entries in the person's SSH configuration, safely.

Four separate steps: what is there is read, the new bytes are computed (`plan_connect`,
`plan_disconnect`), they are shown (`Plan.diff`) and checked with the real `ssh -G` (`verify`), and
only then written (`apply`). Nothing before the last step changes anything on the disk.

The person's `config` gets one line, the very first one; the entry itself is a file of its own in
the directory `ml-remote.d` beside it:

    ~/.ssh/config                    Include ml-remote.d/*.conf
    ~/.ssh/ml-remote.d/<alias>.conf  Host <alias> ...
    ~/.ssh/ml-remote.d/.backup/      what the person's files held before we changed them
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from .. import files
from ..errors import AliasTakenError, ConfigurationError, DamagedEntryError, UnsafeEditError
from . import config_query, control_sockets, edits
from .address import validate_alias
from .entry import Entry
from .ssh_directory import BACKUPS, State, control_path, our_directory, read_state

__all__ = [
    "AppliedPlan",
    "Plan",
    "apply",
    "list_entries",
    "plan_connect",
    "plan_disconnect",
    "read_entry",
    "undo",
    "verify",
]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A planned change: the state of the disk before and after; nothing is written yet.

    `entry` is what `alias` will stand for, `None` if it is to be taken away.
    """

    alias: str
    entry: Entry | None
    before: State
    after: State
    replace_other: bool

    @property
    def changes(self) -> list[files.Change]:
        """The files to change, so ordered that the configuration works after each of them."""
        return edits.changes_between(self.before, self.after)

    @property
    def is_empty(self) -> bool:
        """Whether everything is already as it should be."""
        return not self.changes

    def diff(self) -> str:
        """Return the changes as a unified diff; empty when there are none."""
        return "".join(change.diff(str(change.path)) for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class AppliedPlan:
    """What was written. `plan` differs from the one shown if the disk changed meanwhile.

    `notes` are sentences that the person should read; `backups` are where the earlier contents are.
    """

    plan: Plan
    notes: tuple[str, ...] = ()
    backups: tuple[Path, ...] = ()


def plan_connect(entry: Entry, *, directory: Path, replace_other: bool = False) -> Plan:
    """Return what is to be changed so that `entry` is in the configuration in `directory`.

    Raises AliasTakenError when its alias is in the person's own files, or, unless
    `replace_other`, when it leads to another machine in an entry of ours; UnsafeEditError, with
    instructions, when the configuration cannot be edited safely.
    """
    return _plan(entry.alias, entry, directory, replace_other=replace_other)


def plan_disconnect(alias: str, *, directory: Path) -> Plan:
    """Return what is to be changed so that nothing of ours mentions `alias` any more.

    With the last entry our Include line goes too. The plan is empty when there is no such entry.
    Raises UsageError on an impossible alias, UnsafeEditError when something cannot be read.
    """
    return _plan(validate_alias(alias), None, directory)


def verify(plan: Plan) -> list[str]:
    """Ask the real `ssh -G` about a plan, on a copy; return sentences that the person should read.

    No command of a `Match exec` line is run. Nothing is asked when an entry is taken away: nothing
    is left then that could mean anything else. Raises UnsafeEditError, with instructions, when the
    alias would not resolve as meant; AliasTakenError when its address is an alias of the person's.
    """
    notes: list[str] = []
    if plan.entry is not None:
        with _else_by_hand(plan.alias, plan.entry, plan.before.directory):
            notes = config_query.check(plan.before, plan.after, entry=plan.entry)
    return [*notes, *_warnings(plan)]


def apply(plan: Plan) -> AppliedPlan:
    """Write a plan: alone, computed again from the disk, verified, with backups, atomically.

    Raises UnsafeEditError when it was not possible, and then nothing has changed; LabError when
    another process keeps the lock.
    """
    alias, entry, directory = plan.alias, plan.entry, plan.before.directory
    with _else_by_hand(alias, entry, directory), files.exclusive(our_directory(directory)):
        return _write(_plan(alias, entry, directory, replace_other=plan.replace_other))


def undo(applied: AppliedPlan) -> None:
    """Take back what `apply` has written, byte for byte; a file changed since is left alone.

    Raises OSError, or LabError when another process keeps the lock.
    """
    ours = our_directory(applied.plan.before.directory)
    changes = reversed(applied.plan.changes)
    back = [files.Change(path=one.path, before=one.after, after=one.before) for one in changes]
    with files.exclusive(ours):
        files.apply_changes(
            [change for change in back if files.read_bytes(change.path) == change.before]
        )
        for backup in applied.backups:
            backup.unlink(missing_ok=True)
        files.drop_backups((), folder=ours / BACKUPS)


def read_entry(alias: str, *, directory: Path) -> Entry | None:
    """Return our entry for `alias`, `None` if there is none.

    Raises DamagedEntryError when its file is no longer one that we wrote.
    """
    data = read_state(directory).entries.get(f"{validate_alias(alias)}.conf")
    path = our_directory(directory) / f"{alias}.conf"
    return None if data is None else edits.parse_entry(data, alias=alias, path=path)


def list_entries(directory: Path) -> list[Entry]:
    """Return our entries in `directory`, by alias, without the damaged ones."""
    entries = []
    for name, data in read_state(directory).entries.items():
        path = our_directory(directory) / name
        with suppress(DamagedEntryError):
            entries.append(edits.parse_entry(data, alias=path.stem, path=path))
    return entries


def _plan(alias: str, entry: Entry | None, directory: Path, *, replace_other: bool = False) -> Plan:
    with _else_by_hand(alias, entry, directory):
        before = read_state(directory)
        entries = {**before.entries}
        entries.pop(f"{alias}.conf", None)
        if entry is not None:
            edits.check_alias_is_free(entry, before, replace_other=replace_other)
            entries[f"{alias}.conf"] = edits.rendered(entry, directory)
        after = kept = replace(before, entries=entries)
        if entry is not None:
            after = edits.with_include(kept)
        elif not entries:
            after = edits.without_include(kept)
        obstacle = None if after.data == before.data else edits.obstacle_to_replacing(before)
        if obstacle is not None and entry is not None:
            raise ConfigurationError(
                obstacle, hint="Add the text by hand, then run the command again."
            )
    return Plan(
        alias=alias,
        entry=entry,
        before=before,
        after=after if obstacle is None else kept,
        replace_other=replace_other,
    )


@contextmanager
def _else_by_hand(alias: str, entry: Entry | None, directory: Path) -> Iterator[None]:
    """Turn what keeps the configuration from being edited into an error with instructions."""
    try:
        yield
        return
    except (AliasTakenError, UnsafeEditError):
        raise
    except ConfigurationError as error:
        failure = error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        failure = ConfigurationError(
            f"Nothing was changed, because writing failed: {where}{error.strerror or error}.",
            hint="Add the text by hand, or fix that and run the command again.",
        )
    raise UnsafeEditError(
        failure.message,
        instructions=edits.how_by_hand(alias, entry, directory),
        hint=failure.hint,
    )


def _write(plan: Plan) -> AppliedPlan:
    """Verify and write a plan that was computed under the lock."""
    ours = our_directory(plan.before.directory)
    folder = ours / BACKUPS
    for place in (ours, folder, plan.before.config.parent):
        files.remove_leftovers(place)
    if os.name == "posix":
        # ssh fails for every host when an included file is writable for others.
        for path in (ours, *ours.glob("*.conf")):
            if path.exists() and path.stat().st_mode & 0o077:
                path.chmod(path.stat().st_mode & 0o700)
        if plan.entry is not None:
            control_sockets.make_socket_folder(control_sockets.socket_place(ours))
    notes = verify(plan)
    earlier = {*folder.glob("*")}
    backups: list[Path] = []
    try:
        for change in plan.changes:
            path, data = change.path, change.before
            if data and not edits.is_as_rendered(path, data, ours.parent):
                backups.append(files.keep_backup(path, data, folder=folder))
        files.apply_changes(plan.changes)
    except BaseException:
        for backup in {*backups} - earlier:
            backup.unlink()
        files.drop_backups((), folder=folder)
        raise
    if plan.entry is None and not plan.after.entries:
        # The person's files are again as they would be without us.
        control_sockets.remove_socket_folder()
        now = {plan.before.data, plan.after.data, edits.with_include(plan.after).data}
        backups = files.drop_backups(now, folder=folder)
    return AppliedPlan(plan=plan, notes=tuple(notes), backups=tuple(backups))


def _warnings(plan: Plan) -> Iterator[str]:
    """Yield what is not ours to change and still keeps ssh or the entry from working well."""
    config, ours = plan.before.config, our_directory(plan.before.directory)
    if not plan.after.entries and plan.after.include_position != "missing":
        obstacle = edits.obstacle_to_replacing(plan.before)
        yield f"{obstacle} Our Include line was kept; without entries it does nothing."
    if os.name != "posix":
        return
    if config.exists() and config.stat().st_mode & 0o022:
        yield (
            f"{config} is writable by others, so ssh may refuse it. To fix that: chmod go-w "
            f"{config}"
        )
    if config.exists() and config.stat().st_uid not in (0, os.getuid()):
        yield f"{config} belongs to another user, so ssh refuses it."
    if plan.entry is not None and control_path(plan.before.directory) is None:
        why = f"the path {ours} is too long for a socket"
        if not control_sockets.takes_sockets(ours):
            why = f"{ours} is on a disk that does not support sockets"
        yield (
            f"Connections are not shared, because {why}, and there is no other place: every "
            "command logs in again."
        )
