"""Writing and removing our entries in the person's SSH configuration, safely.

Four separate steps: what stands there is read, the new bytes are computed (`plan_connect`,
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ConfigurationError, DamagedEntryError, UnsafeEditError
from ..files import (
    Change,
    commit,
    drop_backups,
    exclusive,
    keep_backup,
    read_bytes,
    remove_leftovers,
)
from . import verification
from .address import validate_alias
from .control_sockets import (
    make_socket_folder,
    remove_socket_folder,
    socket_place,
    takes_sockets,
)
from .edits import (
    changes_between,
    check_alias_is_free,
    how_to_connect_by_hand,
    how_to_disconnect_by_hand,
    is_as_rendered,
    obstacle_to_replacing,
    parse_entry,
    rendered,
    unified_diff,
    with_include,
    without_include,
)
from .entry import Entry
from .ssh_directory import (
    BACKUPS,
    State,
    control_path,
    is_default_directory,
    our_directory,
    read_state,
    ssh_directory,
    ssh_options,
)

__all__ = [
    "AppliedPlan",
    "Change",
    "Plan",
    "apply",
    "is_default_directory",
    "list_entries",
    "plan_connect",
    "plan_disconnect",
    "read_entry",
    "resolve",
    "ssh_directory",
    "ssh_options",
    "undo",
    "verify",
]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be changed: the state of the disk before and after, nothing of it written yet.

    `entry` is what `alias` will stand for, `None` if it is to be taken away. `instructions` tell
    how to do the same by hand. `notes` are sentences that the person should read. `again` computes
    the plan anew from what stands on the disk then.
    """

    alias: str
    entry: Entry | None
    before: State
    after: State
    instructions: str
    notes: tuple[str, ...] = ()
    again: Callable[[], Plan] = field(repr=False, compare=False)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The files to change, so ordered that the configuration works after each of them."""
        return tuple(changes_between(self.before, self.after))

    @property
    def is_empty(self) -> bool:
        """Whether everything is already as it should be."""
        return not self.changes

    def diff(self) -> str:
        """Return the changes as a unified diff; empty when there are none."""
        return "".join(unified_diff(change) for change in self.changes)


@dataclass(frozen=True, kw_only=True)
class AppliedPlan:
    """What was written. `plan` may differ from the one that was shown if the disk did meanwhile.

    `notes` are sentences that the person should read; `backups` are where the earlier contents lie.
    """

    plan: Plan
    notes: tuple[str, ...] = ()
    backups: tuple[Path, ...] = ()


def plan_connect(entry: Entry, *, directory: Path, replace_other: bool = False) -> Plan:
    """Return what is to be changed so that `entry` stands in the configuration in `directory`.

    Raises AliasTakenError when its alias stands in the person's own files, or, unless
    `replace_other`, when it leads to another machine in an entry of ours; UnsafeEditError, with
    instructions, when the configuration cannot be edited safely.
    """
    instructions = how_to_connect_by_hand(entry, directory)
    before = _read_to_edit(directory, instructions=instructions)
    check_alias_is_free(entry, before, replace_other=replace_other)
    after = replace(
        before,
        data=with_include(before),
        entries={**before.entries, f"{entry.alias}.conf": rendered(entry, directory)},
        config_was_missing=before.data is None
        or (before.config_was_missing and before.include_position != "missing"),
    )
    obstacle = None if after.data == before.data else obstacle_to_replacing(before)
    if obstacle is not None:
        raise UnsafeEditError(
            obstacle, instructions=instructions, hint="Add the text by hand, and run this again."
        )
    return Plan(
        alias=entry.alias,
        entry=entry,
        before=before,
        after=after,
        instructions=instructions,
        again=lambda: plan_connect(entry, directory=directory, replace_other=replace_other),
    )


def plan_disconnect(alias: str, *, directory: Path) -> Plan:
    """Return what is to be changed so that nothing of ours speaks of `alias` any more.

    With the last entry our Include line goes too. The plan is empty when there is no such entry.
    Raises UsageError on an impossible alias, UnsafeEditError when something cannot be read.
    """
    validate_alias(alias)
    instructions = how_to_disconnect_by_hand(alias, directory)
    before = _read_to_edit(directory, instructions=instructions)
    entries = {name: data for name, data in before.entries.items() if name != f"{alias}.conf"}
    after = replace(before, entries=entries)
    notes: tuple[str, ...] = ()
    if not entries:
        after = without_include(after)
        obstacle = None if after.data == before.data else obstacle_to_replacing(before)
        if obstacle is not None:
            after = replace(before, entries=entries)
            notes = (f"{obstacle} Our Include line stays there; without entries it does nothing.",)
    return Plan(
        alias=alias,
        entry=None,
        before=before,
        after=after,
        instructions=instructions,
        notes=notes,
        again=lambda: plan_disconnect(alias, directory=directory),
    )


def verify(plan: Plan) -> list[str]:
    """Check a plan with the real `ssh -G`, on copies; return sentences that the person should read.

    The alias must resolve as meant and every other alias as before (see `verification`). Commands
    of `Match exec` lines are never run. Raises UnsafeEditError, with instructions, when that does
    not hold.
    """
    notes = verification.check(
        plan.before, plan.after, entry=plan.entry, alias=plan.alias, instructions=plan.instructions
    )
    return [*plan.notes, *notes, *_warnings(plan)]


def apply(plan: Plan) -> AppliedPlan:
    """Write a plan: alone, computed anew from the disk, verified, with backups, atomically.

    Raises UnsafeEditError when it was not possible, and then nothing has changed; LabError when
    another process keeps the lock.
    """
    ours = our_directory(plan.before.directory)
    try:
        with exclusive(ours):
            return _apply_alone(plan.again(), ours)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UnsafeEditError(
            f"Nothing was changed, because writing failed: {where}{error.strerror or error}.",
            instructions=plan.instructions,
            hint="Add the text by hand, or mend that and run this again.",
        ) from error


def undo(applied: AppliedPlan) -> None:
    """Take back what `apply` has written, byte for byte; a file changed since is left alone.

    Raises OSError, or LabError when another process keeps the lock.
    """
    ours = our_directory(applied.plan.before.directory)
    folder = ours / BACKUPS
    with exclusive(ours):
        back = [
            Change(path=change.path, before=change.after, after=change.before)
            for change in reversed(applied.plan.changes)
        ]
        commit([change for change in back if read_bytes(change.path) == change.before])
        for backup in applied.backups:
            backup.unlink(missing_ok=True)
        drop_backups((), folder=folder)


def resolve(alias: str, *, directory: Path) -> dict[str, tuple[str, ...]]:
    """Return what `ssh -G alias` says, by lower-case keyword, without running any `Match exec`.

    Raises ConfigurationError, in ssh's own words, when ssh cannot read the configuration.
    """
    state = read_state(directory)
    return verification.resolve(alias, state)


def read_entry(alias: str, *, directory: Path) -> Entry | None:
    """Return our entry for `alias`, `None` if there is none.

    Raises DamagedEntryError when its file is no longer one that we wrote.
    """
    validate_alias(alias)
    name = f"{alias}.conf"
    data = read_state(directory).entries.get(name)
    if data is None:
        return None
    return parse_entry(data, alias=alias, path=our_directory(directory) / name)


def list_entries(directory: Path) -> list[Entry]:
    """Return our entries in `directory`, by alias, without the damaged ones."""
    entries = []
    for name, data in read_state(directory).entries.items():
        alias = name.removesuffix(".conf")
        try:
            entries.append(parse_entry(data, alias=alias, path=our_directory(directory) / name))
        except DamagedEntryError:
            continue
    return entries


def _read_to_edit(directory: Path, *, instructions: str) -> State:
    """Return what stands there; what cannot be read is an UnsafeEditError, with `instructions`."""
    try:
        return read_state(directory)
    except ConfigurationError as error:
        raise UnsafeEditError(error.message, instructions=instructions, hint=error.hint) from None


def _apply_alone(plan: Plan, ours: Path) -> AppliedPlan:
    """Verify and write a plan that was computed under the lock."""
    folder = ours / BACKUPS
    for place in (ours, folder, plan.before.config.parent):
        remove_leftovers(place)
    _keep_private(ours)
    if plan.entry is not None and os.name == "posix":
        make_socket_folder(socket_place(ours))
    notes = list(_warnings(plan)) if plan.is_empty else verify(plan)
    earlier = {*folder.glob("*")}
    backups: list[Path] = []
    try:
        for change in plan.changes:
            if change.before is not None and not is_as_rendered(change, plan.before):
                backups.append(keep_backup(change.path, change.before, folder=folder))
        commit(plan.changes)
    except BaseException:
        for backup in {*backups} - earlier:
            backup.unlink()
        drop_backups((), folder=folder)
        raise
    if plan.entry is None and not plan.after.entries:
        # The person's files are again as they would be without us.
        remove_socket_folder()
        now = {plan.before.data, plan.after.data, with_include(plan.after)}
        backups = drop_backups(now, folder=folder)
    return AppliedPlan(plan=plan, notes=tuple(notes), backups=tuple(backups))


def _keep_private(ours: Path) -> None:
    """Give our own directory and entries the modes that they must have.

    ssh fails for every host when an included file is writable for others.
    """
    if os.name != "posix":
        return
    for path, mode in [(ours, 0o700), *((entry, 0o600) for entry in ours.glob("*.conf"))]:
        if path.exists() and path.stat().st_mode & 0o077:
            path.chmod(mode)


def _warnings(plan: Plan) -> Iterator[str]:
    """Yield what is not ours to change and still keeps ssh or the entry from working well."""
    config = plan.before.config
    if os.name == "posix" and config.exists():
        status = config.stat()
        if status.st_mode & 0o022:
            yield (
                f"{config} can be written by others, and ssh may refuse it for that. "
                f"To mend it: chmod go-w {config}"
            )
        if status.st_uid not in (0, os.getuid()):
            yield f"{config} belongs to another user, and ssh refuses it for that."
    if (
        plan.entry is not None
        and os.name == "posix"
        and control_path(plan.before.directory) is None
    ):
        ours = our_directory(plan.before.directory)
        why = (
            f"the path {ours} is too long for a socket"
            if takes_sockets(ours)
            else (f"{ours} is on a disk that takes no sockets")
        )
        yield (
            f"Connections are not shared, because {why}, and there is no other place: every "
            "command logs in anew."
        )
