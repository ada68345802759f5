"""The SSH entry of a machine: what it should say, and writing it after consent.

Nothing here contacts a machine: `lab connect --offline` needs no more than this.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..context import Context
from ..editor.links import editor_configuration, folder_link
from ..errors import DamagedEntryError, LabError, UsageError
from ..files import typed_path
from ..next_steps import Known, what_next
from ..ssh.address import parse_destination, parse_jump
from ..ssh.compute_nodes import names_node
from ..ssh.configuration import expanded
from ..ssh.entry import Entry
from ..ssh.ssh_config import AppliedPlan, Plan, apply, plan_connect, read_entry, verify
from ..ssh.ssh_directory import made_key_path, our_directory, ssh_directory
from ..ui.console import Console

__all__ = ["agree", "say_how_it_opens", "wanted_entry", "write_entry", "write_plan"]


def write_entry(
    context: Context,
    address: str | None,
    *,
    alias: str,
    jump: str | None = None,
    identity: str | None = None,
    replace_other: bool = False,
    offline: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> None:
    """Run `lab connect --offline` and `lab connect --dry-run`.

    Raises LabError, in words, when the entry cannot be written.
    """
    console, is_new = context.console, Known(is_connected=False)
    entry = wanted_entry(console, address, alias=alias, jump=jump, identity=identity)
    if entry is None:
        console.next_step(what_next(context, is_new))
        return
    plan = plan_connect(entry, directory=ssh_directory(), replace_other=replace_other)
    if dry_run:
        _show_dry_run(plan, console, offline=offline)
        console.next_step(
            what_next(context, Known(is_written=plan.is_empty and offline, is_connected=False))
        )
        return
    if plan.is_empty:
        console.say(f"The SSH entry for {alias} already exists.")
    else:
        write_plan(plan, console, said=agree(plan, console, yes=yes))
    say_how_it_opens(alias, plan.before.directory, console, folder="/")
    console.next_step(what_next(context, is_new))


def wanted_entry(
    console: Console,
    address: str | None,
    *,
    alias: str,
    jump: str | None = None,
    identity: str | None = None,
) -> Entry | None:
    """Return the entry that is to be written: what was asked for, the rest as it is.

    Without an address it is asked for, unless an entry has it. None when the person's own
    configuration leads the alias to a machine: that is said, and used as it is. Raises UsageError.
    """
    directory = ssh_directory()
    if names_node(alias):
        raise UsageError(
            f"{alias} is a compute node, whose entry `lab node` writes.",
            hint="lab node, or connect the machine under another alias: lab connect --alias NAME",
        )
    is_known = address is None or (address == alias and jump is None and identity is None)
    try:
        existing = read_entry(alias, directory=directory)
    except DamagedEntryError:
        if is_known:
            raise
        existing = None
    if is_known and existing is not None:
        destination = existing.destination
    elif is_known and _is_configured(alias, directory):
        console.say(f"{alias} is in your own SSH configuration and is used as it is.")
        return None
    else:
        destination = parse_destination(
            _ask_for_address(alias, console) if address is None else address
        )
    same = existing if existing is not None and existing.destination == destination else None
    path = None if existing is None else existing.identity
    if identity is not None:
        path = _named_identity(identity)
    elif path is not None and not expanded(path).is_file():
        path = None  # it has been deleted since: another key is looked for
    hops = () if same is None else same.jump
    return Entry(
        alias=alias,
        destination=destination,
        jump=hops if jump is None else parse_jump(jump),
        identity=path,
        without_agent=existing is not None and identity is None and existing.without_agent,
        asks=same is not None and same.asks,
    )


def _is_configured(alias: str, directory: Path) -> bool:
    from ..ssh.client import Client  # with an address, as a generation gives one, it is not needed

    return Client(alias=alias, directory=directory).is_configured


def agree(plan: Plan, console: Console, *, yes: bool) -> list[str]:
    """Show what will be written and ask; return the warnings that were shown with it.

    Raises LabError when the person does not want it.
    """
    notes = _show(plan, console)
    if not console.confirm("Continue?", yes=yes):
        raise LabError("Nothing was changed.")
    return notes


def write_plan(plan: Plan, console: Console, *, said: Collection[str] = ()) -> AppliedPlan:
    """Write a plan, say what was written where, and return it.

    Warnings already `said` are not repeated.
    """
    applied = apply(plan)
    for sentence in applied.notes:
        if sentence not in said:
            console.warn(sentence)
    ours = our_directory(plan.before.directory)
    for change in applied.plan.changes:
        if change.path.parent == ours and change.path.name.startswith("."):
            continue  # a mark for ourselves
        console.say(f"{'Removed' if change.after is None else 'Written'}: {change.path}")
    for backup in applied.backups:
        console.say(f"Backup of the old file: {backup}")
    return applied


def say_how_it_opens(alias: str, directory: Path, console: Console, *, folder: str) -> None:
    """Explain how to open the machine in VS Code; without a link if a later step opens it."""
    setting = editor_configuration(directory)
    if setting:
        console.say(setting)
    if not console.is_part_of_more:
        console.say(f"In VS Code: {folder_link(alias, folder)}")


def _ask_for_address(alias: str, console: Console) -> str:
    """Print the command to type on the other machine, and ask for the address."""
    from .paste_command import ADDRESS_COMMAND

    console.note(
        "Which machine? Run this command on it to see your user name, its addresses, its port if "
        "it is not 22, and the fingerprints of its host keys:\n"
    )
    console.say(ADDRESS_COMMAND)
    console.note("")
    if not console.has_terminal():
        raise UsageError(
            f"The address of {alias} is not known yet.", hint="lab connect USER@ADDRESS"
        )
    return console.ask("Its address (user@address or user@address:port)")


def _named_identity(text: str) -> Path:
    """Return the key that --identity names: one that exists, or a place to make one."""
    path = typed_path(text).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--identity names {path}, which is not a file that could hold a key.")
    if not path.exists() and path.suffix == ".pub":
        raise UsageError(
            f"--identity names {path}, which does not exist; the public key alone is not enough.",
            hint="Name the private key, without .pub",
        )
    return path


def _show(plan: Plan, console: Console) -> list[str]:
    """Show what will be written, and warnings; return these."""
    notes = verify(plan)
    for sentence in notes:
        console.warn(sentence)
    console.diff(plan.diff())
    return notes


def _show_dry_run(plan: Plan, console: Console, *, offline: bool) -> None:
    """Show what would be written; nothing is contacted."""
    _show(plan, console)
    if plan.is_empty:
        console.say("The SSH entry already exists; nothing would be written.")
    elif not offline:
        path = made_key_path(plan.alias, plan.before.directory)
        console.say(
            "Then lab would show the host key and name the key that logs in. If none does, it "
            f"would copy one of yours to the machine, or make a new one: {path}"
        )
