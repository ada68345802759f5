"""One SSH host entry: what people type after `ssh`, checked and rendered as OpenSSH reads it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

__all__ = [
    "Destination",
    "Entry",
    "parse_destination",
    "parse_jump",
    "plain_options",
    "quote",
    "render",
    "validate_alias",
]

EXAMPLES = "ada@gpu.example.com, ada@gpu.example.com:2222 or ada@[2001:db8::1]:2222"

# What may stand in a value is said positively, so that nothing that ssh, a shell or a percent or
# environment expansion gives a meaning to can ever get through.
USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+@~-]*")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
PORT = re.compile(r"[0-9]{1,5}")
ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*")
LONGEST_ALIAS = 63
LONGEST_HOST = 253
LONGEST_USER = 64
# A file of one of these names, whatever its ending, cannot be made on Windows.
DEVICE_NAMES = {"con", "prn", "aux", "nul"} | {f"{p}{n}" for p in ("com", "lpt") for n in range(10)}


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A machine and how to log in there; `None` leaves the choice to the SSH configuration.

    `host` is a lower-case name, an IPv4 address, or an IPv6 address without brackets.
    Raises UsageError on a value that OpenSSH could understand as anything else.
    """

    host: str
    user: str | None = None
    port: int | None = None

    def __post_init__(self) -> None:
        _validate_host(self.host)
        object.__setattr__(self, "host", self.host.lower())
        if self.user is not None:
            _validate_user(self.user)
        if self.port is not None and not 1 <= self.port <= 65535:
            raise UsageError(
                f"Port {self.port} does not exist: a port is a number from 1 to 65535."
            )

    def __str__(self) -> str:
        """Return `[user@]host[:port]`, an IPv6 address in brackets where a port follows it."""
        user = "" if self.user is None else f"{self.user}@"
        if self.port is None:
            return f"{user}{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{user}{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one `Host` block says: an alias and the machine it stands for.

    `jump` are the hosts to go through, in the order they are met. `identity` is the private key (or
    the `.pub` of a key that only an agent has): absolute, or beginning with `~/`. Without it the
    entry has neither IdentityFile nor IdentitiesOnly, so that a key that works today goes on
    working. Raises UsageError on an alias, a path or a combination that cannot be written safely.
    """

    alias: str
    destination: Destination
    jump: tuple[Destination, ...] = ()
    identity: Path | None = None

    def __post_init__(self) -> None:
        validate_alias(self.alias)
        if self.identity is not None:
            _validate_identity(self.identity)
        for hop in self.jump:
            if hop.host == self.alias:
                raise UsageError(
                    f"{self.alias} cannot be reached through itself: it is both the alias and a "
                    "jump host.",
                    hint="Give another alias with --alias.",
                )

    def leads_elsewhere_than(self, other: Entry) -> bool:
        """Return whether the two entries reach different machines, or the same one differently."""
        return (self.destination, self.jump) != (other.destination, other.jump)


def validate_alias(alias: str) -> str:
    """Return `alias`, or raise UsageError when it may not be one.

    VS Code lower-cases host names and our entries are files called after the alias, hence the
    narrow choice of characters.
    """
    if not ALIAS.fullmatch(alias) or len(alias) > LONGEST_ALIAS:
        raise UsageError(
            f"{_shown(alias)} cannot be an alias: lower-case letters, digits, dots, underscores "
            f"and hyphens, a letter or digit first, at most {LONGEST_ALIAS} of them."
        )
    if alias.split(".")[0] in DEVICE_NAMES:
        raise UsageError(f"{alias} cannot be an alias: Windows keeps that name for a device.")
    if alias == "localhost" or re.fullmatch(r"[0-9.]+", alias):
        raise UsageError(
            f"{alias} cannot be an alias: `ssh {alias}` must go on meaning that address.",
            hint="Choose a short name, such as gpu.",
        )
    return alias


def parse_destination(text: str) -> Destination:
    """Return what `text` names: `host`, `user@host`, `user@host:port`, or an `ssh://` URI of these.

    An IPv6 address stands in brackets, or without them where no port follows. Raises UsageError.
    """
    _refuse_odd_characters(text)
    rest = text.strip(" ")
    is_uri = rest.lower().startswith("ssh://")
    if is_uri:
        rest = rest[len("ssh://") :].removesuffix("/")
    if not rest:
        raise UsageError("The address is empty.", hint=f"Give it as in {EXAMPLES}.")
    if " " in rest:
        raise UsageError(
            f"{_shown(text)} is more than an address.",
            hint=f"Leave out `ssh` and its options; give only {EXAMPLES}.",
        )
    user, at, host_and_port = rest.rpartition("@")
    if at and ":" in user:
        # The text itself is not repeated: what stands before the @ may be a password.
        raise UsageError(
            "A colon stands before the @ of the address. A password does not belong there: ssh "
            "asks for it when it is needed.",
            hint=f"Give the address as in {EXAMPLES}.",
        )
    if "/" in host_and_port:
        raise UsageError(
            f"{_shown(text)} has a path.", hint=f"Give the machine alone, as in {EXAMPLES}."
        )
    host, port = _split_port(host_and_port)
    return Destination(host=host, user=user if at else None, port=port)


def parse_jump(text: str) -> tuple[Destination, ...]:
    """Return the jump hosts that `text` names, separated by commas; none when it is empty.

    A jump host may be an alias of the person's own. Raises UsageError.
    """
    if not text.strip(" "):
        return ()
    hops = tuple(parse_destination(part) for part in text.split(","))
    if any(hop.host == "none" for hop in hops):
        raise UsageError(
            "`none` is not a jump host: ssh reads it as an instruction to use none.",
            hint="Leave the jump host out.",
        )
    return hops


def plain_options(entry: Entry) -> dict[str, str]:
    """Return what the entry sets, by keyword, without quotes or escapes.

    RemoteCommand and RequestTTY are left out because they break VS Code, host key options because
    they are the person's own to set.
    """
    destination = entry.destination
    options = {"HostName": destination.host}
    if destination.user is not None:
        options["User"] = destination.user
    if destination.port is not None:
        options["Port"] = str(destination.port)
    if entry.jump:
        options["ProxyJump"] = ",".join(_render_hop(hop) for hop in entry.jump)
    if entry.identity is not None:
        options["IdentityFile"] = _identity_text(entry.identity)
        options["IdentitiesOnly"] = "yes"
    options["ForwardAgent"] = "no"
    options["ServerAliveInterval"] = "30"
    options["ServerAliveCountMax"] = "4"
    return options


def render(entry: Entry, *, control_path: str | None) -> str:
    """Return the text of the file that holds this one entry.

    `control_path` is where the socket of a shared connection lies (ssh's `%C` in it stands for the
    destination); `None` where connections cannot be shared, as on Windows.
    """
    options = plain_options(entry)
    if "IdentityFile" in options:
        options["IdentityFile"] = quote(options["IdentityFile"].replace("%", "%%"))
    if control_path is not None:
        options["ControlMaster"] = "auto"
        options["ControlPath"] = quote(control_path)
        options["ControlPersist"] = "10m"
    lines = [
        f"# Written by `lab connect`, taken away by `lab disconnect --alias {entry.alias}`.",
        "# A change made here is lost when it is written again.",
        f"Host {entry.alias}",
        *(f"    {keyword} {value}" for keyword, value in options.items()),
    ]
    return "\n".join(lines) + "\n"


def quote(value: str) -> str:
    """Return a value as one argument for ssh, in double quotes. It may contain none itself."""
    return f'"{value}"'


def _split_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in host:
            raise UsageError(
                f"{_shown(text)}: brackets go around an IPv6 address, as in [2001:db8::1]:2222."
            )
        return host, _parse_port(rest[1:], of=text) if rest else None
    if text.count(":") != 1:
        return text, None  # a name, or an IPv6 address
    host, _, port = text.partition(":")
    return host, _parse_port(port, of=text)


def _parse_port(text: str, *, of: str) -> int:
    if not PORT.fullmatch(text):
        raise UsageError(
            f"{_shown(of)}: what follows the colon must be a port, a number from 1 to 65535."
        )
    return int(text)


def _render_hop(hop: Destination) -> str:
    """Return a jump host as ProxyJump reads it: an IPv6 address always in brackets."""
    if ":" in hop.host and hop.port is None:
        return str(hop).replace(hop.host, f"[{hop.host}]")
    return str(hop)


def _refuse_odd_characters(text: str) -> None:
    """Refuse what would be shown wrongly, or end the line that a value is written to."""
    if any(not character.isprintable() for character in text):
        raise UsageError(
            f"{_shown(text)} has a character in it that cannot be seen.",
            hint=f"Type the address, as in {EXAMPLES}.",
        )


def _validate_host(host: str) -> None:
    if ":" in host:
        _validate_ipv6(host)
    elif NUMBER.fullmatch(host.rpartition(".")[2]):
        _validate_ipv4(host)
    elif not HOST.fullmatch(host) or len(host) > LONGEST_HOST:
        raise UsageError(
            f"{_shown(host)} is not a host name or address: letters, digits, dots, hyphens and "
            "underscores, no hyphen first.",
            hint=f"Give it as in {EXAMPLES}.",
        )


def _validate_ipv4(host: str) -> None:
    """Refuse what ssh would take for an address in a shortened form: 22 is 0.0.0.22 to it."""
    import ipaddress  # costs milliseconds that few calls need

    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise UsageError(
            f"{_shown(host)} is not an address: four numbers from 0 to 255, as in 10.0.0.5.",
            hint=f"Give it as in {EXAMPLES}.",
        ) from None


def _validate_ipv6(host: str) -> None:
    import ipaddress  # costs milliseconds that few calls need

    try:
        if "%" in host:
            raise ValueError("a zone, which ssh would expand")
        ipaddress.IPv6Address(host)
    except ValueError as error:
        raise UsageError(
            f"{_shown(host)} is not an IPv6 address ({error}).", hint=f"Give it as in {EXAMPLES}."
        ) from None


def _validate_user(user: str) -> None:
    if not USER.fullmatch(user) or len(user) > LONGEST_USER:
        raise UsageError(
            f"{_shown(user)} is not a user name: letters, digits and . _ + @ ~ - only, no hyphen "
            "first.",
            hint=f"Give the address as in {EXAMPLES}.",
        )


def _identity_text(identity: Path) -> str:
    """Return the path as ssh reads it: on Windows with `/`, because a backslash would escape."""
    return identity.as_posix() if os.name == "nt" else str(identity)


def _validate_identity(identity: Path) -> None:
    text = _identity_text(identity)
    if not identity.is_absolute() and not text.startswith("~/"):
        raise UsageError(
            f"The identity file {_shown(text)} must be an absolute path, or begin with ~/."
        )
    odd = [character for character in text if not character.isprintable() or character in "\"'\\$"]
    if odd:
        raise UsageError(
            f"The identity file {_shown(text)} has {odd[0]!r} in its path, which cannot be written "
            "safely into an SSH configuration.",
            hint="Move or copy the key to a path of letters, digits and spaces.",
        )


def _shown(text: str) -> str:
    """Return a value for a message: quoted, invisible characters escaped, at most one line long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
