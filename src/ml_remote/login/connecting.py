"""`lab connect`: from an address to `ssh ALIAS` without a password.

What is to be done is found out first, then shown and agreed to, then done: the host key, the key,
the entry, the copy of the key, and last the proof, a login of its own that asks nothing.
"""

from __future__ import annotations

from dataclasses import replace

from .. import answers
from ..context import Context
from ..errors import ConfigurationError, HostKeyUnknownError, LabError, LoginRefusedError
from ..ssh.client import Client
from ..ssh.entry import Entry, render
from ..ssh.ssh_config import plan_connect
from ..ui.console import Console
from .choosing import choose_key
from .entries import agree, say_how_it_opens, wanted_entry, write_plan
from .host_keys import ask_for_host_key, pin
from .logins import Login, log_in
from .providing import announce_key, copy_key, prepare_key

__all__ = ["connect"]

_DEFAULT_KEY_TYPE = "ed25519"


def connect(
    context: Context,
    address: str | None,
    *,
    alias: str,
    jump: str | None = None,
    identity: str | None = None,
    key_type: str | None = None,
    replace_other: bool = False,
    yes: bool = False,
) -> None:
    """Carry out `lab connect`; the arguments are those of the command line.

    Raises LabError, in words, when it cannot be done; what was done until then stays, and running
    it again goes on from there.
    """
    entry = wanted_entry(context.console, address, alias=alias, jump=jump, identity=identity)
    if entry is None:
        _use_own_host(Client(alias=alias), context.console, yes=yes)
    else:
        _connect(context, entry, key_type=key_type, replace_other=replace_other, yes=yes)


def _connect(
    context: Context, entry: Entry, *, key_type: str | None, replace_other: bool, yes: bool
) -> None:
    """Find out what is to be done, have it agreed to, do it, and prove that the login works."""
    console = context.console
    # Before anything is pinned: an alias that means another machine stops it all.
    plan_connect(entry, directory=Client(alias=entry.alias).directory, replace_other=replace_other)
    login = _first_login(_client_for(entry), console, yes=yes)
    choice = choose_key(_client_for(entry), entry, login, new_only=key_type is not None)
    entry = replace(entry, identity=choice.path)
    client = Client(alias=entry.alias)
    plan = plan_connect(entry, directory=client.directory, replace_other=replace_other)
    unchanged = plan.is_empty and not (choice.make or choice.copy or choice.pinned)
    if not unchanged:
        announce_key(choice, login, console, alias=entry.alias)
        notes = agree(plan, console, yes=yes)
        key_type = key_type or _DEFAULT_KEY_TYPE
        prepare_key(choice, entry.alias, console, key_type=key_type, yes=yes)
        write_plan(plan, console, said=notes)
        if choice.copy:
            copy_key(_client_for(entry), choice, login, console)
    _prove(client)
    if unchanged:
        console.say(f"Nothing to change: `ssh {entry.alias}` logs in without a password.")
    else:
        console.say(f"`ssh {entry.alias}` now logs in without a password.")
    folder = _folder_there(client, context.project.settings.folder)
    say_how_it_opens(entry.alias, client.directory, console, folder=folder)
    console.next_step("lab up")


def _client_for(entry: Entry) -> Client:
    """Return the machine as `entry` will reach it; a key that is still missing is left out."""
    if entry.identity is not None and not entry.identity.expanduser().is_file():
        entry = replace(entry, identity=None)
    lines = render(entry, control_path=None).splitlines()
    return Client(
        alias=entry.alias, options=tuple(line.strip() for line in lines if line.startswith(" "))
    )


def _first_login(client: Client, console: Console, *, yes: bool) -> Login:
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


def _use_own_host(client: Client, console: Console, *, yes: bool) -> None:
    """Take a machine as the person's own configuration has it; nothing is written."""
    _first_login(client, console, yes=yes)
    _prove(client)
    console.say(f"`ssh {client.alias}` logs in without a password.")
    console.next_step("lab up")


def _folder_there(client: Client, folder: str) -> str:
    """Return the project's folder on the machine, or the home directory until it is there."""
    script = 'cd || exit; [ -d "$1" ] && cd "$1"; pwd'
    return answers.folder(client.run_script(script, folder).stdout.strip("\n"), asked=folder)
