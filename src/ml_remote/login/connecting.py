"""`lab connect`: from an address to `ssh ALIAS` without a password.

What is to be done is found out first, then shown and agreed to, then done: the host key, the key,
the entry, the copy of the key, and last the proof, a login of its own that asks nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .. import answers
from ..context import Context
from ..errors import (
    ConfigurationError,
    HostKeyUnknownError,
    InteractiveGatewayError,
    InteractiveLoginError,
    LabError,
    NoJobError,
)
from ..next_steps import Known, read_environment, what_next
from ..scripts import script
from ..ssh.agents import agent_hangs, fault_of_agent, silent_agent
from ..ssh.client import Client
from ..ssh.configuration import expanded
from ..ssh.entry import Entry, render
from ..ssh.settings_at_fault import fault_of_settings
from ..ssh.ssh_config import Plan, plan_connect
from ..ssh.ssh_directory import our_directory, ssh_directory
from ..ui.console import Console
from .copying import copy_key
from .entries import agree, say_how_it_opens, wanted_entry, write_plan
from .host_keys import ask_for_host_key, pin, whom_to_ask
from .key_choice import KeyChoice, check_key_type, check_keys_are_used, choose_key, our_keys
from .key_setup import announce_key, prepare_key, type_to_make
from .logins import Login, log_in, with_key_alone
from .second_factor import check_gateway, say_it_asks, say_it_is_open
from .verifying import Before, verify_login, verify_shared_login

__all__ = ["connect"]


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
    """Run `lab connect`; the arguments are those of the command line.

    Raises LabError, in words, when it cannot be done; what was done until then stays, and running
    it again continues from there.
    """
    entry = wanted_entry(context.console, address, alias=alias, jump=jump, identity=identity)
    if entry is None:
        _use_own_host(context, Client(alias=alias), yes=yes)
    else:
        _connect(
            context,
            entry,
            key_type=key_type,
            replace_other=replace_other,
            yes=yes,
            named=identity is not None,
        )


def _connect(
    context: Context,
    entry: Entry,
    *,
    key_type: str | None,
    replace_other: bool,
    yes: bool,
    named: bool,
) -> None:
    """Find out what is to be done, have it agreed to, do it, and prove that the login works."""
    console, directory = context.console, ssh_directory()
    # Before anything is pinned: an alias that means another machine stops it all.
    plan = plan_connect(entry, directory=directory, replace_other=replace_other)
    check_key_type(entry, key_type, directory)
    _repair(plan, console, yes=yes)
    before = Before.of(entry.alias, Client(alias=entry.alias))
    entry = _without_silent_agent(entry, console)
    login = _login_so_far(entry, console, directory, yes=yes)
    if entry.identity is not None and not named and login.only_sha1:
        entry = replace(entry, identity=None)  # a key that this machine takes with no signature
    client = _client_for(entry)
    is_named = named or key_type is not None
    choice = _choice(client, entry, login, console, new_only=key_type is not None, named=is_named)
    entry = replace(entry, identity=choice.path, asks=login.asks)
    plan = plan_connect(entry, directory=directory, replace_other=replace_other)
    unchanged = plan.is_empty and not (choice.make or choice.copy or choice.pinned)
    if not unchanged:
        announce_key(choice, login, console, alias=entry.alias, yes=yes)
        if key_type and not choice.make:
            console.note(f"An existing key already logs in, so no key of type {key_type} is made.")
        notes = agree(plan, console, yes=yes)
        made_type = type_to_make(login, client, key_type=key_type) if choice.make else ""
        prepare_key(choice, entry.alias, console, key_type=made_type, yes=yes)
        before.written.append(write_plan(plan, console, said=notes))
        if choice.copy:
            copied = copy_key(
                client,
                choice,
                login,
                console,
                only_this=is_named,
                ask=console.has_terminal() and not yes,
            )
            before.fault, before.copied = copied.fault, copied.lines
            entry = replace(entry, identity=copied.choice.path)
            plan = plan_connect(entry, directory=directory, replace_other=replace_other)
            if not plan.is_empty:
                before.written.append(write_plan(plan, console, said=notes))
    _verify(entry, console, before, written=not unchanged)
    folder, known = _what_is_there(Client(alias=entry.alias), context.project.settings.folder)
    say_how_it_opens(entry.alias, directory, console, folder=folder)
    console.next_step(what_next(context, known, after="lab connect"))


def _repair(plan: Plan, console: Console, *, yes: bool) -> None:
    """Write our entry at once where it is what ssh cannot read: no login could work before."""
    try:
        Client(alias=plan.alias).resolve()
    except ConfigurationError as error:
        path = our_directory(plan.before.directory) / f"{plan.alias}.conf"
        if plan.is_empty or str(path) not in error.message:
            raise
        write_plan(plan, console, said=agree(plan, console, yes=yes))


def _choice(
    client: Client, entry: Entry, login: Login, console: Console, *, new_only: bool, named: bool
) -> KeyChoice:
    """Return the key to use: none where something other than a key is asked for first."""
    if isinstance(login.refusal, InteractiveGatewayError | NoJobError):
        raise login.refusal
    if login.asks:
        say_it_asks(login, console, alias=entry.alias, is_key_named=named)
        if not login.second_factor:
            return KeyChoice(path=None)
    choice = choose_key(client, entry, login, new_only=new_only)
    if choice.path is not None:
        check_keys_are_used(client, new=choice.path if choice.copy else None)
    return choice


def _verify(entry: Entry, console: Console, before: Before, *, written: bool) -> None:
    """Verify that the entry logs in: without asking, or else by the shared connection."""
    client = Client(alias=entry.alias)
    if not entry.asks:
        try:
            verify_login(client, console, before, written=written)
        except InteractiveLoginError:  # it shows once the key is there
            plan = plan_connect(
                replace(entry, asks=True), directory=client.directory, replace_other=True
            )
            before.written.append(write_plan(plan, console))
        else:
            now = "now logs in" if written else "logs in"
            console.say(
                f"{'' if written else 'Nothing to change: '}`ssh {entry.alias}` {now} without a "
                "password."
            )
            return
    verify_shared_login(client)
    say_it_is_open(console, alias=entry.alias)


def _without_silent_agent(entry: Entry, console: Console) -> Entry:
    """Return the entry, without the agent if that takes connections and never answers."""
    if entry.without_agent:
        console.note(
            f"`ssh {entry.alias}` does not use an agent, because yours did not answer earlier. To "
            "use it again: lab disconnect; then: lab connect with the address"
        )
        return entry
    resolved = _client_for(entry).resolve()
    if not agent_hangs(resolved):
        return entry
    console.warn(
        f"{silent_agent(resolved)} `ssh {entry.alias}` will not use it (IdentityAgent none): only "
        "key files log in."
    )
    return replace(entry, without_agent=True)


def _login_so_far(entry: Entry, console: Console, directory: Path, *, yes: bool) -> Login:
    """Log in with a key of ours, if there is one, else in whatever way the person has."""
    client = _client_for(entry)
    ours = our_keys(entry, directory) if entry.identity is None else []
    if not ours:
        return _first_login(client, console, yes=yes)
    login = _first_login(with_key_alone(client, ours[0]), console, yes=yes)
    if login.succeeded or login.second_factor:
        return login
    other = log_in(client)
    return replace(other, offered=other.offered | login.offered)


def _client_for(entry: Entry) -> Client:
    """Return the machine as `entry` will reach it; a key that is still missing is left out."""
    if entry.identity is not None and not expanded(entry.identity).is_file():
        entry = replace(entry, identity=None)
    lines = render(entry, control_path=None).splitlines()
    return Client(
        alias=entry.alias, options=tuple(line.strip() for line in lines if line.startswith(" "))
    )


def _first_login(client: Client, console: Console, *, yes: bool) -> Login:
    """Try to log in; a host key that was never seen is shown and pinned first."""
    fault = fault_of_settings(client.resolve(), alias=client.alias)
    if fault is not None:
        raise fault
    try:
        check_gateway(client, console)
        return log_in(client)
    except HostKeyUnknownError:
        host_key = ask_for_host_key(client)
    resolved = client.resolve()
    console.say(
        f"{resolved['hostname'][0]} shows its {host_key.key.type} host key for the first time: "
        f"{host_key.key.fingerprint}"
    )
    console.note(whom_to_ask(host_key))
    if yes and resolved.get("stricthostkeychecking") in (["true"], ["yes"]):
        raise ConfigurationError(
            "Your SSH configuration says StrictHostKeyChecking yes, so no host key is accepted "
            "without asking.",
            hint="lab connect, without --yes; or add the host key to known_hosts yourself",
        )
    if not console.confirm("Is that the machine's host key?", yes=yes, default=False):
        raise LabError("The host key was not accepted; nothing was changed.")
    console.say(f"Host key added to {pin(host_key, resolved)}")
    return log_in(client)


def _use_own_host(context: Context, client: Client, *, yes: bool) -> None:
    """Take a machine as the person's own configuration has it; nothing is written."""
    console = context.console
    fault = fault_of_agent(client.resolve(), alias=client.alias)
    if fault is not None:
        raise fault
    before = Before.of(client.alias, client)
    login = _first_login(client, console, yes=yes)
    if login.asks:
        verify_shared_login(client)
        say_it_is_open(console, alias=client.alias)
    else:
        verify_login(client, console, before, written=False)
        console.say(f"`ssh {client.alias}` logs in without a password.")
    _, known = _what_is_there(client, context.project.settings.folder)
    console.next_step(what_next(context, known, after="lab connect"))


def _what_is_there(client: Client, folder: str) -> tuple[str, Known]:
    """Return the project's folder on the machine, and what is known of the project there.

    Until it is there, the folder is the home directory.
    """
    said = client.run_script(script("editor-folder"), folder).stdout.rstrip("\n")
    place, _, state = said.rpartition("\n")
    known = Known(is_sent=False) if state == "absent" else read_environment(state.split())
    return answers.folder(place.strip("\n"), asked=folder), known
