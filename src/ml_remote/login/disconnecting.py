"""`lab disconnect`: remove our entry and, if wanted, our key."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from ..context import Context
from ..errors import ConfigurationError, LabError
from ..next_steps import Known, what_next
from ..ssh.client import Client
from ..ssh.compute_nodes import names_node
from ..ssh.configuration import expanded, parse, read_sources
from ..ssh.left_ports import close_left_ports
from ..ssh.ssh_config import Plan, list_entries, plan_disconnect
from ..ssh.ssh_directory import (
    known_hosts_path,
    made_key_path,
    our_directory,
    pinned_key_path,
    read_state,
    ssh_directory,
)
from ..ui.console import Console
from .entries import write_plan
from .keys import public_path

__all__ = ["disconnect"]


def disconnect(
    context: Context,
    *,
    alias: str,
    remove_key: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> None:
    """Run `lab disconnect`; the arguments are those of the command line.

    The key is only removed on `remove_key`, or when somebody at the terminal says so: `yes` alone
    keeps it. Raises LabError.
    """
    console, directory = context.console, ssh_directory()
    plan = plan_disconnect(alias, directory=directory)
    key = made_key_path(alias, directory)
    is_node, nodes = names_node(alias), _nodes_behind(alias, directory)
    remove_key = remove_key or is_node  # which is of no use for anything else
    others = _others_with(key, but=(alias, *nodes), directory=directory)
    if remove_key and others:
        console.warn(f"The key {key} is kept: it is also used by {', '.join(others)}.")
        remove_key = False
    if plan.is_empty and not (remove_key and key.exists()):
        _say_nothing_is_removed(alias, nodes, directory, console)
        console.next_step(_what_next(context, alias, directory))
        return
    _show(plan, nodes, console, key=key if remove_key else None)
    if dry_run:
        console.next_step(what_next(context, Known(is_written=False)))
        return
    if not console.confirm("Remove this?", yes=yes):
        raise LabError("Nothing was changed.")
    if key.exists() and not others and not remove_key and not yes:
        remove_key = console.confirm(f"Delete the key {key} too?", yes=False, default=False)
    _take_away(plan, console, with_key=remove_key)
    for node in nodes:
        _take_away(plan_disconnect(node, directory=directory), console, with_key=True)
    console.say(f"`ssh {alias}` means what it meant before.")
    if not is_node:
        _say_what_is_kept(alias, key, console, is_deleted=remove_key)
    console.next_step(_what_next(context, alias, directory))


def _others_with(key: Path, *, but: Collection[str], directory: Path) -> list[str]:
    """Return who logs in with this key by any SSH configuration, but for some entries of ours."""
    state, ours = read_state(directory), our_directory(directory)
    sources = read_sources(state.config, state.data or b"")
    # Those of ours count where nothing includes them any more, and where somebody changed them.
    sources |= {ours / name: parse(data) for name, data in state.entries.items()}
    for alias in but:
        sources.pop(ours / f"{alias}.conf", None)
    found: dict[str, None] = {}
    for source, lines in sources.items():
        hosts = str(source)
        for line in lines:
            if line.keyword in ("host", "match"):
                names = " ".join(line.arguments) if line.keyword == "host" else "*"
                hosts = str(source) if re.search(r"[*?!]", names) else names
            elif line.keyword == "identityfile" and any(_is(key, name) for name in line.arguments):
                found[hosts] = None
    return [*found]


def _is(key: Path, name: str) -> bool:
    """Return whether a value of IdentityFile may be this key; a token of ssh's may be anything."""
    path = expanded(os.path.expandvars(name.replace("%d", "~")))
    parts = re.split("%.", str(path).removesuffix(".pub"))
    return re.fullmatch("[^/]*".join(map(re.escape, parts)), str(key)) is not None


def _say_nothing_is_removed(
    alias: str, nodes: Sequence[str], directory: Path, console: Console
) -> None:
    """Report that there is no entry; close ports that VS Code left open in any case."""
    for port in close_left_ports(Client(alias=alias, directory=directory)):
        console.say(f"Closed port {port} of this computer, which VS Code had left open.")
    console.say(f"lab has no entry for {alias}, so there is nothing to remove.")
    for node in nodes:
        console.say(
            f"{node} is reached through it; to remove that too: lab disconnect --alias {node}"
        )


def _show(plan: Plan, nodes: Sequence[str], console: Console, *, key: Path | None) -> None:
    """Show what will be removed: entries, and the key that is to be deleted."""
    console.diff(plan.diff())
    for node in nodes:
        console.diff(plan_disconnect(node, directory=plan.before.directory).diff())
    if nodes:
        console.say(f"Compute nodes behind {plan.alias}, also removed: {', '.join(nodes)}")
    if key is not None and key.exists():
        console.say(f"The key will be deleted: {key}")


def _say_what_is_kept(alias: str, key: Path, console: Console, *, is_deleted: bool) -> None:
    """Report what is kept: the key, or the line that accepts it, and the host key."""
    if is_deleted:
        console.say(
            "The machine still accepts the deleted key: its line in ~/.ssh/authorized_keys there "
            f"ends with lab-{alias}."
        )
    elif key.exists():
        console.say(f"The key is kept for next time: {key}")
    console.say("The machine's host key is kept in known_hosts, which other programs use too.")


def _nodes_behind(alias: str, directory: Path) -> list[str]:
    """Return the aliases of compute nodes to which a login node of this alias is the way."""
    return [
        entry.alias
        for entry in list_entries(directory)
        if entry.known_hosts is not None
        and (f" -- {alias} sh " in (entry.proxy or "") or alias in [hop.host for hop in entry.jump])
    ]


def _take_away(plan: Plan, console: Console, *, with_key: bool) -> None:
    """Take an entry away, with what is of no use without it, and its key if wanted."""
    alias, directory = plan.alias, plan.before.directory
    if not plan.is_empty:
        with suppress(ConfigurationError):  # ssh cannot read it: perhaps what is removed here
            Client(alias=alias, directory=directory).close()
    # What is in our directory goes first, so that an empty one can go with the last entry.
    gone = [pinned_key_path(alias, directory), known_hosts_path(alias, directory)]
    if with_key:
        key = made_key_path(alias, directory)
        gone += [key, public_path(key)]
    for path in gone:
        path.unlink(missing_ok=True)
    write_plan(plan, console)


def _what_next(context: Context, alias: str, directory: Path) -> str:
    """Return what to run next: the person's own configuration may still have the alias."""
    try:
        has_way = Client(alias=alias, directory=directory).is_configured
    except ConfigurationError as error:
        return what_next(context, Known(left=error.hint or "lab doctor"))
    return what_next(context, Known(has_way=has_way, is_connected=False), after="lab disconnect")
