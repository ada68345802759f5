"""Choose the key that logs in: one that already does, one that exists, or a new one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigurationError, KeyFileError, LoginRefusedError, UsageError
from ..ssh.client import Client
from ..ssh.configuration import expanded
from ..ssh.entry import Entry
from ..ssh.ssh_config import list_entries
from ..ssh.ssh_directory import made_key_path, our_directory, pinned_key_path
from .keys import SIGNATURES, Key, PublicKey, agent_keys, can_make, public_path, read_key
from .logins import Login, log_in, log_in_one_by_one, log_in_with_any, with_key_alone

__all__ = [
    "KeyChoice",
    "check_key_type",
    "check_keys_are_used",
    "choose_key",
    "keys_to_make",
    "our_keys",
]

# A server that counts failed logins bars the address after a few of them.
_MOST_TRIED = 4


@dataclass(frozen=True, kw_only=True)
class KeyChoice:
    """The key that will log in, and what must be done first."""

    path: Path | None
    """What IdentityFile names. None omits it: something other than a key logs in."""
    key: Key | None = None
    """The key, if it exists already."""
    pinned: PublicKey | None = None
    """A key that only the agent has; its public half is to be written to `path`."""
    copy: bool = False
    """Whether the machine does not let it in yet."""
    passed_over: tuple[str, ...] = ()
    """Why keys that ssh would try cannot be used."""

    @property
    def make(self) -> bool:
        """Whether the key is still to be made."""
        return self.path is not None and self.key is None and self.pinned is None


def our_keys(entry: Entry, directory: Path) -> list[Path]:
    """Return the keys that `lab` has made and that may log in, those for this machine first.

    Another project may have an alias of its own for the same account.
    """
    same = [
        expanded(known.identity)
        for known in list_entries(directory)
        if known.destination == entry.destination and known.identity is not None
    ]
    found = dict.fromkeys([made_key_path(entry.alias, directory), *same])
    return [path for path in found if path.is_file()]


def check_key_type(entry: Entry, key_type: str | None, directory: Path) -> None:
    """Raise UsageError when `--key-type` cannot be honoured: there is a key of another type."""
    if key_type is None:
        return
    path = entry.identity or made_key_path(entry.alias, directory)
    key = _read_quietly(expanded(path)) if expanded(path).is_file() else None
    if key is not None and key.public.made_as != key_type:
        raise UsageError(
            f"--key-type {key_type} cannot be used: the key for {entry.alias} already exists and "
            f"has the type {key.public.type} ({key.path}).",
            hint="Keep that key and omit --key-type; or make a new one: lab disconnect, with "
            "--remove-key if lab made the key; then lab connect with the address",
        )


def check_keys_are_used(client: Client, *, new: Path | None) -> None:
    """Raise ConfigurationError when the person's configuration lets no key log in.

    `new` is the key that is to be copied to the machine, if one is.
    """
    resolved = client.resolve()
    (preferred, *_) = resolved.get("preferredauthentications", ["publickey"])
    for keyword, is_off in (
        ("PubkeyAuthentication", resolved.get("pubkeyauthentication") in (["no"], ["false"])),
        ("PreferredAuthentications", "publickey" not in preferred.split(",")),
    ):
        if is_off:
            raise ConfigurationError(
                f"Your SSH configuration turns keys off for {client.alias} ({keyword}), so you "
                "cannot log in there without a password.",
                hint="Remove that line from your SSH configuration, or limit it to the hosts that "
                "need it; then: lab connect",
            )
    key = None if new is None else _read_quietly(expanded(new))
    (accepted, *_) = resolved.get("pubkeyacceptedalgorithms", [""])
    if key is None or not accepted:
        return
    kind = key.public.type
    names = {"rsa-sha2-256", "rsa-sha2-512", kind} if kind == "ssh-rsa" else {kind}
    if names.isdisjoint(accepted.split(",")):
        raise ConfigurationError(
            f"Your SSH configuration turns off keys of the type {kind} for {client.alias} "
            "(PubkeyAcceptedAlgorithms).",
            hint="Allow them there; or use a key of another type: lab connect --key-type TYPE",
        )


def choose_key(client: Client, entry: Entry, login: Login, *, new_only: bool) -> KeyChoice:
    """Return the key to use for `entry`, given how the first login went.

    `new_only` leaves out keys that the person has but that do not log in there yet. Raises
    KeyFileError when the key that the entry names cannot be used.
    """
    resolved = client.resolve()
    in_agent = agent_keys(resolved) or []
    if entry.identity is not None:
        path = expanded(entry.identity)
        if not path.is_file():
            return KeyChoice(path=path, copy=True)
        key = read_key(path)
        return KeyChoice(path=path, key=key, copy=not login.succeeded and not login.second_factor)

    made = made_key_path(entry.alias, client.directory)
    left = sorted(our_directory(client.directory).glob("*.key"))  # of entries that have gone, too
    files = [*our_keys(entry, client.directory), *_identity_files(resolved), *left]
    if not login.succeeded and not login.second_factor:
        login = _try_the_others(client, login, files, in_agent) or login
    if login.succeeded or login.second_factor:
        return _key_that_logged_in(login, client, files, in_agent)

    candidates = [made] if new_only else [made, *_identity_files(resolved)]
    for key in _usable(candidates, in_agent):
        if _may_sign(key.public, login):
            return KeyChoice(path=key.path, key=key, copy=True)
    return KeyChoice(path=made, copy=True, passed_over=_faults(_identity_files(resolved)))


def keys_to_make(login: Login, resolved: Mapping[str, Sequence[str]], alias: str) -> Iterator[str]:
    """Yield the types of key that this ssh makes and uses and that the machine may take.

    The best first. Raises LoginRefusedError when there is none.
    """
    names = [
        *resolved.get("pubkeyacceptedalgorithms", []),
        *resolved.get("pubkeyacceptedkeytypes", []),
    ]
    here = frozenset(name for line in names for name in line.split(","))
    found = False
    for key_type, signatures in SIGNATURES.items():
        there = not login.signatures or signatures & login.signatures
        if there and (not here or signatures & here) and can_make(key_type):
            found = True
            yield key_type
    if not found:
        takes = ", ".join(sorted(login.signatures)) or "nothing that it names"
        raise LoginRefusedError(
            f"{alias} and this ssh have no key type in common: it accepts {takes}.",
            hint="Update OpenSSH on the older of the two machines",
            quoted=(takes,),
        )


def _try_the_others(
    client: Client, login: Login, files: Sequence[Path], in_agent: Sequence[PublicKey]
) -> Login | None:
    """Try the keys that were not refused yet: files one at a time, then those of the agent."""
    untried = [key for key in _usable(dict.fromkeys(files), in_agent) if _is_new(key.public, login)]
    found = log_in_one_by_one(client, [key.path for key in untried[:_MOST_TRIED]])
    if found is not None:
        return found
    tried = {key.public.fingerprint for key in untried}
    left = [key for key in in_agent if _is_new(key, login) and key.fingerprint not in tried]
    return log_in_with_any(client, left)


def _is_new(public: PublicKey, login: Login) -> bool:
    return public.fingerprint not in login.offered or (public.is_certificate and not login.fault)


def _may_sign(public: PublicKey, login: Login) -> bool:
    """Return whether the machine may take a signature of this key."""
    if login.signatures:
        return not public.signatures.isdisjoint(login.signatures)
    return not (login.only_sha1 and public.type == "ssh-rsa")


def _key_that_logged_in(
    login: Login, client: Client, files: Sequence[Path], in_agent: Sequence[PublicKey]
) -> KeyChoice:
    """Return the choice that keeps this login: a key file, else the agent's key by its .pub."""
    for path in files:
        key = _read_quietly(path)
        if key is None or key.public.fingerprint != login.fingerprint:
            continue
        # A certificate that only the agent has is not used for a file that has none beside it.
        if not login.certificate or log_in(with_key_alone(client, path)).succeeded:
            return KeyChoice(path=path, key=key)
    held = [public for public in in_agent if public.fingerprint == login.fingerprint]
    if login.certificate:
        # The certificate is renewed often: nothing is pinned where ssh finds it by itself.
        held = [public for public in held if public.is_certificate]
        if log_in(client).succeeded:
            held = []
    for public in held:
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
    paths = (expanded(name) for name in resolved.get("identityfile", []))
    return [path for path in paths if path.is_file() and path != public_path(path)]


def _faults(files: Sequence[Path]) -> tuple[str, ...]:
    """Return why the keys among `files` cannot be used that cannot, and what to do."""
    found = []
    for path in files:
        try:
            read_key(path)
        except KeyFileError as error:
            found.append(f"{error.message} {error.hint}".strip())
    return tuple(found)


def _read_quietly(path: Path) -> Key | None:
    """Return the key, or None when it cannot be used: nobody asked for this one."""
    try:
        return read_key(path)
    except KeyFileError:
        return None
