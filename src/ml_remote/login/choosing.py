"""Which key shall log in to a machine: one that already does, one that is there, or a new one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import KeyFileError
from ..ssh.client import Client
from ..ssh.entry import Entry
from ..ssh.ssh_directory import made_key_path, pinned_key_path
from .keys import Key, PublicKey, agent_keys, public_path, read_key
from .logins import Login, log_in_with_any

__all__ = ["KeyChoice", "choose_key"]


@dataclass(frozen=True, kw_only=True)
class KeyChoice:
    """The key that shall log in, and what has to be done for it."""

    path: Path | None
    """What IdentityFile shall name. None leaves it out: something else than a key logs in."""
    key: Key | None = None
    """The key, if it lies there already."""
    pinned: PublicKey | None = None
    """A key that only the agent has; its public half is to be written to `path`."""
    copy: bool = False
    """Whether the machine does not let it in yet."""

    @property
    def make(self) -> bool:
        """Whether the key is still to be made."""
        return self.path is not None and self.key is None and self.pinned is None


def choose_key(client: Client, entry: Entry, login: Login, *, new_only: bool) -> KeyChoice:
    """Return the key to use for `entry`, given how the first login went.

    `new_only` leaves out keys that the person has but that do not log in there yet. Raises
    KeyFileError when the key that the entry names cannot be used.
    """
    resolved = client.resolve()
    in_agent = agent_keys(resolved) or []
    if entry.identity is not None:
        path = entry.identity.expanduser()
        if not path.is_file():
            return KeyChoice(path=path, copy=True)
        key = read_key(path)
        return KeyChoice(path=path, key=key, copy=not login.succeeded and not login.second_factor)

    if not login.succeeded and not login.second_factor:
        untried = [key for key in in_agent if key.fingerprint not in login.offered]
        login = log_in_with_any(client, untried) or login
    if login.succeeded or login.second_factor:
        return _key_that_logged_in(login, client, resolved, in_agent)

    made = made_key_path(entry.alias, client.directory)
    files = [made] if new_only else [made, *_identity_files(resolved)]
    for key in _usable(files, in_agent):
        return KeyChoice(path=key.path, key=key, copy=True)
    return KeyChoice(path=made, copy=True)


def _key_that_logged_in(
    login: Login,
    client: Client,
    resolved: Mapping[str, Sequence[str]],
    in_agent: Sequence[PublicKey],
) -> KeyChoice:
    """Return the choice that keeps this login: a key file, else the agent's key by its .pub."""
    for path in _identity_files(resolved):
        key = _read_quietly(path)
        if key is not None and key.public.fingerprint == login.fingerprint:
            return KeyChoice(path=path, key=key)
    for public in in_agent:
        if public.fingerprint == login.fingerprint:
            path = pinned_key_path(client.alias, client.directory)
            return KeyChoice(path=path, pinned=public)
    # Not by a key (but by Kerberos, say), or by one that IdentityFile cannot name.
    return KeyChoice(path=None)


def _usable(files: Iterable[Path], in_agent: Sequence[PublicKey]) -> Iterable[Key]:
    """Yield the keys among `files` that can log in without asking for a passphrase."""
    held = {public.fingerprint for public in in_agent}
    for path in files:
        key = _read_quietly(path)
        if key is not None and (not key.encrypted or key.public.fingerprint in held):
            yield key


def _identity_files(resolved: Mapping[str, Sequence[str]]) -> list[Path]:
    """Return the private keys that ssh would try, those that exist, in the order it names them."""
    paths = (Path(name).expanduser() for name in resolved.get("identityfile", []))
    return [path for path in paths if path.is_file() and path != public_path(path)]


def _read_quietly(path: Path) -> Key | None:
    """Return the key, or None when it cannot be used: nobody asked for this one."""
    try:
        return read_key(path)
    except KeyFileError:
        return None
