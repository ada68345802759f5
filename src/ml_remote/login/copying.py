"""Copying a key to the machine with a password, and another one where it does not use that."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .. import processes
from ..errors import LoginRefusedError
from ..scripts import script
from ..ssh.client import Client
from ..ssh.control_sockets import takes_sockets
from ..ssh.ssh_directory import made_key_path
from ..ui.console import Console
from .key_choice import KeyChoice, keys_to_make
from .keys import Key, copy_to, create_key, public_path, read_key
from .logins import Login, log_in, with_key_alone

__all__ = ["Copied", "copy_key"]

# A socket's path holds 104 bytes on macOS; ssh puts a dot and 16 characters behind it for a moment.
_LONGEST_PLACE = 104 - 1 - len("/lab-copy-12345678/s") - 17
_CLOSED = ("~", "~/.ssh", "~/.ssh/authorized_keys")


@dataclass(frozen=True, kw_only=True)
class Copied:
    """The key that was copied, or the one in its place; `fault` is why the machine uses neither."""

    choice: KeyChoice
    lines: int
    """How many lines were added on the machine."""
    fault: LoginRefusedError | None = None


def copy_key(
    client: Client, choice: KeyChoice, login: Login, console: Console, *, only_this: bool, ask: bool
) -> Copied:
    """Authorize the key on the machine, with one password.

    Servers do not say which types of key they take. So where a key is not used, one of another
    type is made and copied, unless `only_this` was asked for; `ask` lets ssh-keygen ask for a
    passphrase.
    Raises LoginRefusedError, with the line to pass on, where the machine takes no passwords.
    """
    assert choice.path is not None
    key = read_key(choice.path)
    if not login.takes_password:
        raise login.fault or login.doubt or _no_password(client.alias, key)
    with _one_password(client) as sharing:
        answer = _copy(client, key, console, sharing)
        copied = Copied(choice=choice, lines=int(answer == "added"))
        if _is_taken(client, key):
            return copied
        if answer == "restricted":
            return replace(copied, fault=_restricted(client.alias))
        if only_this:
            return copied
        open_to_others = _open_to_others(client.with_options(*sharing))
        if open_to_others:
            return replace(copied, fault=open_to_others)
        return _copy_another(client, copied, login, console, sharing=sharing, ask=ask)


def _no_password(alias: str, key: Key) -> LoginRefusedError:
    """Return the error for a machine that takes no passwords, with the line to pass on."""
    return LoginRefusedError(
        f"{alias} does not accept passwords, so the key must be copied another way. Add this line "
        "to ~/.ssh/authorized_keys on the machine, or give it to its "
        f"administrator:\n{key.public.line}",
        hint="Add the line, then run: lab connect",
    )


def _restricted(alias: str) -> LoginRefusedError:
    """Return the error for a key whose line on the machine refuses it."""
    return LoginRefusedError(
        f"{alias} has the key but refuses the login. The key's line in ~/.ssh/authorized_keys "
        "there has options that restrict it, such as from= or expiry-time=.",
        hint="On the machine, correct or remove that line; then: lab connect with the address",
    )


def _copy_another(
    client: Client,
    copied: Copied,
    login: Login,
    console: Console,
    *,
    sharing: tuple[str, ...],
    ask: bool,
) -> Copied:
    """Make and copy keys of other types until the machine takes one."""
    assert copied.choice.path is not None
    tried, lines = [read_key(copied.choice.path).public], copied.lines
    made = made_key_path(client.alias, client.directory)
    if copied.choice.make:
        _delete(made)
    for key_type in keys_to_make(login, client.resolve(), client.alias):
        if made.exists() or key_type in {public.made_as for public in tried}:
            continue
        console.say(
            f"{client.alias} does not use the copied key; it may not accept the type "
            f"{tried[-1].type}. A key of another type will be made: {made}"
        )
        key = create_key(made, key_type=key_type, comment=f"lab-{client.alias}", ask_passphrase=ask)
        _copy(client, key, console, sharing)
        lines += 1
        if _is_taken(client, key):
            return Copied(choice=KeyChoice(path=key.path, key=key), lines=lines)
        tried.append(key.public)
        _delete(made)
    types = ", ".join(public.type for public in tried)
    fault = LoginRefusedError(
        f"{client.alias} has the key but refuses the login (tried: {types}). It may accept only "
        "other types, such as certificates or RSA with SHA-1, or not allow this account.",
        hint="Ask whoever runs the machine which keys it accepts (PubkeyAcceptedAlgorithms, "
        "AuthorizedKeysFile, AllowUsers in its sshd_config)",
    )
    return replace(copied, fault=fault, lines=lines)


def _copy(client: Client, key: Key, console: Console, sharing: tuple[str, ...]) -> str:
    answer = copy_to(client, key.public, connection=sharing)
    is_new = answer == "added"
    console.say(f"Key copied to {client.alias}" if is_new else f"{client.alias} already had it")
    return answer


def _is_taken(client: Client, key: Key) -> bool:
    login = log_in(with_key_alone(client, key.path))
    return login.succeeded or login.second_factor


def _open_to_others(client: Client) -> LoginRefusedError | None:
    """Return the error for what others may write to on the machine: sshd looks at no key then."""
    done = client.run_script(script("key-modes"), check=False)
    names = [name for name in done.stdout.splitlines() if name in _CLOSED]
    if not names:
        return None
    return LoginRefusedError(
        f"{client.alias} has the key but ignores it, because others may write to "
        f"{', '.join(names)} there.",
        hint=f"On the machine: chmod go-w {' '.join(names)}; then: lab connect with the address",
    )


@contextmanager
def _one_password(client: Client) -> Iterator[tuple[str, ...]]:
    """Yield options for a connection that one password opens and every copy shares."""
    with _short_folder() as folder:
        if processes.is_windows() or not takes_sockets(Path(folder)):
            yield ("ControlPath=none",)
            return
        sharing = ("ControlMaster=auto", "ControlPersist=60", f'ControlPath="{folder}/s"')
        try:
            yield sharing
        finally:
            client.with_options(*sharing).close()


def _short_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a directory for a socket of ssh: in /tmp where the usual place has a long path."""
    place = Path(tempfile.gettempdir())
    is_long = len(os.fsencode(place)) > _LONGEST_PLACE
    return tempfile.TemporaryDirectory(
        prefix="lab-copy-",
        dir="/tmp" if is_long and not processes.is_windows() else None,
        ignore_cleanup_errors=True,
    )


def _delete(key: Path) -> None:
    for path in (key, public_path(key)):
        path.unlink(missing_ok=True)
