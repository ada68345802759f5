"""`lab disconnect`: take our entry, and if wanted our key, away again."""

from __future__ import annotations

from pathlib import Path

from ..errors import LabError
from ..ssh.client import Client
from ..ssh.configuration import expanded
from ..ssh.ssh_config import list_entries, plan_disconnect
from ..ssh.ssh_directory import made_key_path, pinned_key_path, ssh_directory
from ..ui.console import Console
from .entries import write_plan
from .keys import public_path

__all__ = ["disconnect"]


def disconnect(
    console: Console,
    *,
    alias: str,
    remove_key: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> None:
    """Carry out `lab disconnect`; the arguments are those of the command line.

    The key is only removed on `remove_key`, or when somebody at the terminal says so: `yes` alone
    keeps it. Raises LabError.
    """
    directory = ssh_directory()
    plan = plan_disconnect(alias, directory=directory)
    key = made_key_path(alias, directory)
    others = [
        known.alias
        for known in list_entries(directory)
        if known.alias != alias and known.identity is not None and expanded(known.identity) == key
    ]
    if remove_key and others:
        console.warn(f"The key {key} is kept: {', '.join(others)} still logs in with it.")
        remove_key = False
    if plan.is_empty and not (remove_key and key.exists()):
        console.say(f"There is no entry of ours for {alias}: nothing to take away.")
        return
    console.diff(plan.diff())
    if remove_key and key.exists():
        console.say(f"The key will be deleted: {key}")
    if dry_run:
        console.next_step("the same without --dry-run")
        return
    if not console.confirm("Take this away?", yes=yes):
        raise LabError("Nothing was changed.")
    if key.exists() and not others and not remove_key and not yes:
        remove_key = console.confirm(f"Delete the key {key} too?", yes=False, default=False)
    if not plan.is_empty:
        Client(alias=alias, directory=directory).close()
    # What lies in our directory goes first, so that an empty one can go with the last entry.
    if remove_key:
        _delete(key)
    pinned_key_path(alias, directory).unlink(missing_ok=True)
    write_plan(plan, console)
    console.say(f"`ssh {alias}` means again what it meant before.")
    if remove_key:
        console.say(
            "The machine still lets the deleted key in: its line in ~/.ssh/authorized_keys there "
            f"ends in lab-{alias}."
        )
    elif key.exists():
        console.say(f"The key stays for next time: {key}")
    console.say(
        "The machine's host key stays in known_hosts, where your other programs use it, too."
    )
    console.next_step("lab connect user@address")


def _delete(key: Path) -> None:
    """Delete a key that was made for this machine, both halves."""
    for path in (key, public_path(key)):
        path.unlink(missing_ok=True)
