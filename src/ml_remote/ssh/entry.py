"""One SSH host entry, checked and rendered as OpenSSH reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .address import Destination, shown, validate_alias

__all__ = ["ASKED_PERSIST", "Entry", "plain_options", "render"]

ASKED_PERSIST = "12h"
"""How long a shared connection stays after its last use where every login asks a person."""
_PERSIST = "10m"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one `Host` block says: an alias and the machine it stands for.

    `jump` are the hosts to go through, in the order they are met. `identity` is the private key (or
    the `.pub` of a key that only an agent has): absolute, or beginning with `~/`. Without it the
    entry has neither IdentityFile nor IdentitiesOnly, so that a key that works today keeps on
    working. `without_agent` keeps ssh from asking an agent, which might never answer. `asks` means
    that every login asks a person, so that the shared connection stays for long. Raises UsageError
    on an alias, a path or a combination that cannot be written safely.
    """

    alias: str
    destination: Destination
    jump: tuple[Destination, ...] = ()
    identity: Path | None = None
    without_agent: bool = False
    asks: bool = False
    proxy: str | None = None
    """The ProxyCommand that leads there, in place of an address; see nodes/node_alias.py."""
    known_hosts: Path | None = None
    """The file with its host key, where that is its own."""

    def __post_init__(self) -> None:
        validate_alias(self.alias)
        if self.identity is not None:
            _validate_identity(self.identity)
        for hop in self.jump:
            if hop.host == self.alias:
                raise UsageError(
                    f"{self.alias} cannot be its own jump host.",
                    hint="Give another alias with --alias.",
                )

    @property
    def way(self) -> tuple[object, ...]:
        """Which machine it reaches, and how."""
        return (self.destination, self.jump, self.proxy)


def plain_options(entry: Entry) -> dict[str, str]:
    """Return what the entry sets, by keyword, without quotes or escapes.

    RemoteCommand and RequestTTY are left out because they break VS Code, host key options because
    they are the person's own to set.
    """
    destination = entry.destination
    options = {
        "HostName": destination.host,
        "User": destination.user,
        "Port": destination.port and str(destination.port),
        "ProxyCommand": entry.proxy,
        "HostKeyAlias": entry.alias if entry.known_hosts is not None else None,
        "ProxyJump": ",".join(map(_render_hop, entry.jump)),
        "IdentityFile": entry.identity and _identity_text(entry.identity),
        "IdentitiesOnly": "yes" if entry.identity is not None else None,
        "IdentityAgent": "none" if entry.without_agent else None,
        "ForwardAgent": "no",
        "ServerAliveInterval": "30",
        "ServerAliveCountMax": "4",
    }
    return {keyword: value for keyword, value in options.items() if value}


def render(entry: Entry, *, control_path: str | None) -> str:
    """Return the text of the file that holds this one entry.

    `control_path` is where the socket of a shared connection lies (ssh's `%C` in it stands for the
    destination); `None` where connections cannot be shared, as on Windows.
    """
    options = plain_options(entry)
    if "IdentityFile" in options:
        options["IdentityFile"] = f'"{options["IdentityFile"].replace("%", "%%")}"'
    if entry.known_hosts is not None:
        options["UserKnownHostsFile"] = f'"{entry.known_hosts.as_posix()}"'
        options["StrictHostKeyChecking"] = "yes"
    if control_path is not None:
        options["ControlMaster"] = "auto"
        options["ControlPath"] = f'"{control_path}"'
        options["ControlPersist"] = ASKED_PERSIST if entry.asks else _PERSIST
    by = "lab connect" if entry.known_hosts is None else "lab node"
    lines = [
        f"# Written by `{by}`, taken away by `lab disconnect --alias {entry.alias}`.",
        "# A change made here is lost when it is written again.",
        f"Host {entry.alias}",
        *(f"    {keyword} {value}" for keyword, value in options.items()),
    ]
    return "\n".join(lines) + "\n"


def _render_hop(hop: Destination) -> str:
    """Return a jump host as ProxyJump reads it: an IPv6 address always in brackets."""
    if ":" in hop.host and hop.port is None:
        return str(hop).replace(hop.host, f"[{hop.host}]")
    return str(hop)


def _identity_text(identity: Path) -> str:
    """Return the path as ssh reads it: on Windows with `/`, because a backslash would escape."""
    return identity.as_posix() if os.name == "nt" else str(identity)


def _validate_identity(identity: Path) -> None:
    text = _identity_text(identity)
    if not identity.is_absolute() and not text.startswith("~/"):
        raise UsageError(
            f"The identity file {shown(text)} must be an absolute path, or begin with ~/."
        )
    odd = [character for character in text if not character.isprintable() or character in "\"'\\$"]
    if odd:
        raise UsageError(
            f"The identity file {shown(text)} has {odd[0]!r} in its path, which cannot be written "
            "safely into an SSH configuration.",
            hint="Move or copy the key to a path of letters, digits and spaces.",
        )
