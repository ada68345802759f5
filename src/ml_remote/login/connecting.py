"""`lab connect`: from an address to `ssh ALIAS` without a password.

What is to be done is found out first, then shown and agreed to, then done: the host key, the key,
the entry, the copy of the key, and last the proof, a login of its own that asks nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from ..errors import (
    ConfigurationError,
    DamagedEntryError,
    HostKeyUnknownError,
    LabError,
    LoginRefusedError,
    UsageError,
)
from ..settings import load_settings, machine_alias
from ..ssh.address import parse_destination, parse_jump
from ..ssh.client import Client
from ..ssh.entry import Entry, render
from ..ssh.ssh_config import Plan, apply, plan_connect, read_entry, verify
from ..ssh.ssh_directory import our_directory, ssh_directory
from ..ui import console
from .choosing import choose_key, made_key_path
from .host_keys import ask_for_host_key, pin
from .logins import Login, log_in
from .pasting import paste_line
from .providing import announce_key, copy_key, prepare_key

__all__ = ["connect", "write_plan"]

_DEFAULT_KEY_TYPE = "ed25519"


def connect(
    address: str | None,
    *,
    alias: str | None = None,
    jump: str | None = None,
    identity: str | None = None,
    key_type: str | None = None,
    replace_other: bool = False,
    offline: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> None:
    """Carry out `lab connect`; the arguments are those of the command line.

    Raises LabError, in words, when it cannot be done; what was done until then stays, and running
    it again goes on from there.
    """
    directory = ssh_directory()
    alias = machine_alias(alias)
    existing = _existing_entry(alias, directory, needed=address is None)
    if address is None and existing is None:
        if _is_own_host(alias, directory):
            _use_own_host(alias, directory, contact=not (offline or dry_run), yes=yes)
            return
        address = _ask_for_address(alias)
    entry = _wanted_entry(address, existing, alias=alias, jump=jump, identity=identity)
    plan = plan_connect(entry, directory=directory, replace_other=replace_other)
    if dry_run:
        _show_dry_run(plan, offline=offline)
    elif offline:
        _connect_offline(plan, yes=yes)
    else:
        _connect_online(
            entry, directory=directory, key_type=key_type, replace_other=replace_other, yes=yes
        )


def _existing_entry(alias: str, directory: Path, *, needed: bool) -> Entry | None:
    """Return our entry for the alias; a damaged one counts as none unless it is `needed`."""
    try:
        return read_entry(alias, directory=directory)
    except DamagedEntryError:
        if needed:
            raise
        return None


def _ask_for_address(alias: str) -> str:
    """Print the line to paste on the other machine, and ask for what it answers."""
    console.note("Which machine? Paste this line into a terminal on it; it prints the address:\n")
    console.say(paste_line())
    console.note("")
    if not console.has_terminal():
        raise UsageError(
            f"No address for {alias} is known yet.", hint="lab connect WHAT-THE-LINE-PRINTED"
        )
    return console.ask("What did it print (user@address:port)?")


def _is_own_host(alias: str, directory: Path) -> bool:
    """Return whether the person's own configuration already leads the alias to a machine."""
    resolved = Client(alias=alias, directory=directory).resolve()
    return resolved["hostname"] != [alias] or "proxycommand" in resolved


def _wanted_entry(
    address: str | None,
    existing: Entry | None,
    *,
    alias: str,
    jump: str | None,
    identity: str | None,
) -> Entry:
    """Return the entry that shall stand there: what was asked for, the rest as it is."""
    if address is not None:
        destination = parse_destination(address)
    else:
        assert existing is not None
        destination = existing.destination
    if jump is not None:
        hops = parse_jump(jump)
    else:
        same = existing is not None and existing.destination == destination
        hops = existing.jump if existing is not None and same else ()
    path = None
    if identity is not None:
        path = _named_identity(identity)
    elif existing is not None and existing.identity is not None:
        # One that has been deleted since is forgotten: another key is looked for.
        path = existing.identity if existing.identity.expanduser().is_file() else None
    return Entry(alias=alias, destination=destination, jump=hops, identity=path)


def _named_identity(text: str) -> Path:
    """Return the key that --identity names: one that exists, or a place to make one."""
    path = Path(text).expanduser().absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--identity names {path}, which is no file that could hold a key.")
    if not path.exists() and path.suffix == ".pub":
        raise UsageError(
            f"--identity names {path}, which does not exist, and a public half makes no key.",
            hint="Name the private key, without .pub",
        )
    return path


def _connect_offline(plan: Plan, *, yes: bool) -> None:
    """Write the entry and contact nothing."""
    if plan.is_empty:
        console.say(f"The SSH entry for {plan.alias} stands there already.")
    else:
        write_plan(plan, said=_agree(plan, yes=yes))
    _show_editor(plan.alias, plan.before.directory, folder="/")
    console.next_step("lab connect")


def _connect_online(
    entry: Entry, *, directory: Path, key_type: str | None, replace_other: bool, yes: bool
) -> None:
    """Find out what is to be done, have it agreed to, do it, and prove that the login works."""
    login = _first_login(_client_for(entry, directory), yes=yes)
    choice = choose_key(_client_for(entry, directory), entry, login, new_only=key_type is not None)
    entry = replace(entry, identity=choice.path)
    plan = plan_connect(entry, directory=directory, replace_other=replace_other)
    unchanged = plan.is_empty and not (choice.make or choice.copy or choice.pinned)
    if not unchanged:
        announce_key(choice, login, alias=entry.alias)
        notes = _agree(plan, yes=yes)
        prepare_key(choice, entry.alias, key_type=key_type or _DEFAULT_KEY_TYPE, yes=yes)
        write_plan(plan, said=notes)
        if choice.copy:
            copy_key(_client_for(entry, directory), choice, login)
    _prove(Client(alias=entry.alias, directory=directory))
    if unchanged:
        console.say(f"Nothing to change: `ssh {entry.alias}` logs in without a password.")
    else:
        console.say(f"`ssh {entry.alias}` now logs in without a password.")
    _show_editor(entry.alias, directory, folder=_folder_there(entry.alias, directory))
    console.next_step("lab up")


def _client_for(entry: Entry, directory: Path) -> Client:
    """Return the machine as `entry` will reach it; a key that is still missing is left out."""
    if entry.identity is not None and not entry.identity.expanduser().is_file():
        entry = replace(entry, identity=None)
    lines = render(entry, control_path=None).splitlines()
    return Client(
        alias=entry.alias,
        directory=directory,
        options=tuple(line.strip() for line in lines if line.startswith(" ")),
    )


def _first_login(client: Client, *, yes: bool) -> Login:
    """Try to log in; a host key that was never seen is shown and pinned first."""
    try:
        return log_in(client)
    except HostKeyUnknownError:
        host_key = ask_for_host_key(client)
    resolved = client.resolve()
    console.say(
        f"{resolved['hostname'][0]} shows its {host_key.key.type} host key for the first time: "
        f"{host_key.key.fingerprint}"
    )
    console.note(f"To compare, on that machine: ssh-keygen -lf {host_key.usual_path}")
    if yes and resolved.get("stricthostkeychecking") in (["true"], ["yes"]):
        raise ConfigurationError(
            "Your SSH configuration says StrictHostKeyChecking yes: no host key is taken unseen.",
            hint="lab connect, without --yes; or add the host key to known_hosts yourself",
        )
    if not console.confirm("Is that the machine's host key?", yes=yes, default=False):
        raise LabError("The host key was not accepted; nothing was changed.")
    console.say(f"Host key pinned in {pin(host_key, resolved)}")
    return log_in(client)


def _agree(plan: Plan, *, yes: bool) -> list[str]:
    """Show what will be written and ask; return the warnings that were shown with it.

    Raises LabError when the person does not want it.
    """
    notes = verify(plan)
    for sentence in notes:
        console.warn(sentence)
    console.diff(plan.diff())
    if not console.confirm("Go on?", yes=yes):
        raise LabError("Nothing was changed.")
    return notes


def write_plan(plan: Plan, *, said: Collection[str] = ()) -> None:
    """Write a plan and say what was written where; warnings already `said` are not repeated."""
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
        console.say(f"What stood there before: {backup}")


def _prove(client: Client) -> None:
    """Log in over a connection of its own, asking nothing. Raises LoginRefusedError."""
    login = log_in(client)
    if login.second_factor:
        raise LoginRefusedError(
            f"{client.alias} takes the key but asks for a second factor as well, at every login.",
            hint=f"Log in by hand: ssh {client.alias}; then, within ten minutes: lab up --no-code, "
            "which shares that connection",
        )
    if login.refusal is not None:
        raise LoginRefusedError(
            f"{client.alias} still refuses the login: {login.refusal.message}",
            hint="Often ~ or ~/.ssh on the machine is writable for others (chmod go-w), or its "
            "home directory is not mounted. See more: lab doctor",
        )


def _use_own_host(alias: str, directory: Path, *, contact: bool, yes: bool) -> None:
    """Take a machine as the person's own configuration has it; nothing is written."""
    console.say(f"{alias} stands in your own SSH configuration and is used as it is.")
    if not contact:
        console.next_step("lab connect")
        return
    client = Client(alias=alias, directory=directory)
    _first_login(client, yes=yes)
    _prove(client)
    console.say(f"`ssh {alias}` logs in without a password.")
    console.next_step("lab up")


def _show_dry_run(plan: Plan, *, offline: bool) -> None:
    """Show what would be written; nothing is contacted."""
    for sentence in verify(plan):
        console.warn(sentence)
    console.diff(plan.diff())
    if plan.is_empty:
        console.say("The SSH entry stands there already; nothing would be written.")
    elif not offline:
        path = made_key_path(plan.alias, plan.before.directory)
        console.say(
            "Then the host key would be shown, and the entry would name the key that logs in; if "
            f"none does, one of yours would be copied to the machine, or a new one made: {path}"
        )
    console.next_step("the same without --dry-run")


def _show_editor(alias: str, directory: Path, *, folder: str) -> None:
    """Say how the machine opens in VS Code."""
    from ..editor.code import editor_configuration
    from ..editor.workspace_file import folder_link

    setting = editor_configuration(directory)
    if setting:
        console.say(setting)
    console.say(f"In VS Code: {folder_link(alias, folder)}")


def _folder_there(alias: str, directory: Path) -> str:
    """Return the project's folder on the machine, or the home directory until it is there."""
    script = 'cd || exit; [ -d "$1" ] && cd "$1"; pwd'
    client = Client(alias=alias, directory=directory)
    return client.run_script(script, load_settings().folder).stdout.strip()
