"""Prepare the key that was chosen: make it, or load it into the agent."""

from __future__ import annotations

import shlex

from ..errors import KeyFileError
from ..ssh.client import Client
from ..ui.console import Console
from .key_choice import KeyChoice, keys_to_make
from .keys import (
    Key,
    add_to_agent,
    agent_keys,
    can_make,
    create_key,
    write_public_key,
)
from .logins import Login

__all__ = ["announce_key", "prepare_key", "type_to_make"]


def announce_key(
    choice: KeyChoice, login: Login, console: Console, *, alias: str, yes: bool
) -> None:
    """Announce what will happen to keys, and what will be asked for them."""
    for fault in choice.passed_over:
        console.warn(fault)
    if choice.make:
        asks = "; ssh-keygen asks for a passphrase for it, which may be empty"
        can_ask = console.has_terminal() and not yes
        console.say(f"A new key will be made: {choice.path}{asks if can_ask else ''}")
    elif choice.pinned is not None:
        what = "certificate for" if choice.pinned.is_certificate else "key"
        console.say(
            f"Your agent's {what} {choice.pinned.fingerprint} logs in. Its public key will be "
            f"stored, so that ssh offers no other: {choice.path}"
        )
    elif choice.path is not None:
        console.say(f"The key {choice.path} will be used.")
    public = choice.pinned or (choice.key and choice.key.public)
    if public and public.type.startswith("sk-"):
        console.note("Touch your security key when it blinks: every login needs that.")
    if choice.copy and login.takes_password:
        first = "ssh-add asks for the key's passphrase, then " if _is_locked(choice, alias) else ""
        console.say(f"It will be copied to {alias}; {first}ssh asks for your password once.")


def _is_locked(choice: KeyChoice, alias: str) -> bool:
    """Return whether the key has a passphrase that an agent has to be told first."""
    return choice.key is not None and choice.key.encrypted and not _is_held(choice.key, alias)


def _is_held(key: Key, alias: str) -> bool:
    """Return whether the agent that ssh would ask holds the key."""
    held = agent_keys(Client(alias=alias).resolve()) or []
    return key.public.fingerprint in {public.fingerprint for public in held}


def type_to_make(login: Login, client: Client, *, key_type: str | None) -> str:
    """Return the type of the key to make: `key_type` if it was asked for, else the best that fits.

    Raises LoginRefusedError, or KeyFileError, when what was asked for cannot be made or used.
    """
    fitting = list(keys_to_make(login, client.resolve(), client.alias))
    first = fitting[0]
    if key_type is None:
        return first
    if key_type not in fitting:
        who = client.alias if can_make(key_type) else "ssh-keygen on this computer"
        raise KeyFileError(
            f"--key-type {key_type} cannot be used: {who} does not support keys of that type.",
            hint=f"lab connect --key-type {first}",
        )
    return key_type


def prepare_key(
    choice: KeyChoice, alias: str, console: Console, *, key_type: str, yes: bool
) -> None:
    """Make the key, or store the agent's; check that no passphrase is in the way."""
    key = choice.key
    if choice.path is not None:
        choice.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if choice.pinned is not None and choice.path is not None:
        write_public_key(choice.path, choice.pinned)
    elif choice.make and choice.path is not None:
        asking = console.has_terminal() and not yes
        if asking:
            console.note(
                "You can protect the new key with a passphrase. It is not your password on the "
                "machine; press Enter for none."
            )
        key = create_key(
            choice.path, key_type=key_type, comment=f"lab-{alias}", ask_passphrase=asking
        )
        console.say(f"Key made: {key.path} ({key.public.fingerprint})")
    if key is not None and key.encrypted:
        _load_into_agent(key, alias, console)


def _load_into_agent(key: Key, alias: str, console: Console) -> None:
    """Load a key with a passphrase into the agent, so that VS Code can use it unasked."""
    if _is_held(key, alias):
        return
    resolved = Client(alias=alias).resolve()
    if (
        agent_keys(resolved) is None
        or not console.has_terminal()
        or not add_to_agent(key.path, resolved)
    ):
        raise KeyFileError(
            f"The key {key.path} has a passphrase, but no agent holds it, so ssh would ask each "
            "time.",
            hint='Start an agent if none is running: eval "$(ssh-agent)"; then: '
            f"ssh-add {shlex.quote(str(key.path))}; then: lab connect",
        )
