"""What may name a machine: an address as people type it after `ssh`, a jump host, an alias.

The template's hook checks its answers by this module too, before there is a project, with whatever
Python cookiecutter has. So it needs Python 3.9 and the standard library, and `errors` beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError

__all__ = [
    "Destination",
    "alias_fault",
    "parse_destination",
    "parse_jump",
    "remote_fault",
    "shown",
    "suggest_remote",
    "validate_alias",
]

EXAMPLES = "ada@gpu.example.com, ada@gpu.example.com:2222 or ada@[2001:db8::1]:2222"

# What a value may hold is said positively, so that nothing that ssh, a shell or a percent or
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


@dataclass(frozen=True)
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


def validate_alias(alias: str) -> str:
    """Return `alias`, or raise UsageError when it may not be one."""
    allowed = alias_fault(alias)
    if allowed is not None:
        raise UsageError(
            f"{shown(alias)} cannot be an alias. Allowed: {allowed}.",
            hint="Choose a short name, such as gpu.",
        )
    return alias


def alias_fault(alias: str) -> str | None:
    """Return what is allowed for an alias when `alias` is not, else None.

    VS Code lower-cases host names and our entries are files called after the alias, hence the
    narrow choice of characters.
    """
    if not ALIAS.fullmatch(alias) or len(alias) > LONGEST_ALIAS:
        return (
            "lower-case letters, digits, dots, hyphens and underscores, a letter or digit first, "
            f"at most {LONGEST_ALIAS} characters"
        )
    if alias.split(".")[0] in DEVICE_NAMES:
        return "another name: Windows reserves this one for a device"
    if alias == "localhost" or re.fullmatch(r"[0-9.]+", alias):
        return f"a different name: `ssh {alias}` must keep meaning that address"
    return None


def remote_fault(text: str) -> str | None:
    """Return what may answer the question for the machine when `text` may not, else None."""
    try:
        if text:  # nothing says that there is no machine yet
            parse_destination(text)
    except UsageError:
        return (
            "user@host, user@host:port (1 to 65535), or nothing; an IPv6 address with a port in "
            "brackets. To use an SSH alias that you have, leave this empty and give it as ssh_alias"
        )
    return None


def suggest_remote(text: str) -> str:
    """Return the longest address that can be made of the characters of `text`."""
    text = text[len("ssh://") :] if text.startswith("ssh://") else _from_command(text) or text
    kept = re.sub(r"[^A-Za-z0-9_.@:+~-]", "", text).lstrip("-.+~:@")
    host, _, _ = kept.partition(":")
    return next(
        (one for one in (kept, host) if one and remote_fault(one) is None), "ada@gpu.example.com"
    )


def _from_command(text: str) -> str | None:
    """Return the address in a command such as `ssh -p 22 ada@host`, None in anything else."""
    words = text.split()
    if not words or words[0] != "ssh":
        return None
    options, place = {}, ""
    rest = iter(words[1:])
    for word in rest:
        if word[:2] in ("-p", "-l", "-i", "-o", "-J", "-F"):
            options[word[:2]] = word[2:] or next(rest, "")
        elif not word.startswith("-") and not place:
            place = word
    user = f"{options['-l']}@" if "-l" in options and "@" not in place else ""
    port = f":{options['-p']}" if "-p" in options and ":" not in place else ""
    address = f"{user}{place}{port}"
    return address if remote_fault(address) is None and place else None


def parse_destination(text: str) -> Destination:
    """Return what `text` names: `host`, `user@host`, `user@host:port`, or an `ssh://` URI of these.

    An IPv6 address is in brackets, or without them where no port follows. Raises UsageError.
    """
    _refuse_odd_characters(text)
    rest = text.strip(" ")
    is_uri = rest.lower().startswith("ssh://")
    if is_uri:
        rest = rest[len("ssh://") :].removesuffix("/")
    if not rest:
        raise UsageError("The address is empty.", hint=f"Give it as in {EXAMPLES}.")
    if " " in rest:
        address = _from_command(rest)
        raise UsageError(
            f"{shown(text)} is not just an address.",
            hint=f"Give it without `ssh` and its options: {address or EXAMPLES}.",
        )
    user, at, host_and_port = rest.rpartition("@")
    if at and ":" in user:
        # The text itself is not repeated: what comes before the @ may be a password.
        raise UsageError(
            "There is a colon before the @ of the address. Do not give a password: ssh asks for "
            "it when needed.",
            hint=f"Give the address as in {EXAMPLES}.",
        )
    if "/" in host_and_port:
        raise UsageError(
            f"{shown(text)} has a path.", hint=f"Give only the machine, as in {EXAMPLES}."
        )
    if not host_and_port or (at and not user):
        missing = "user name before" if host_and_port else "host name behind"
        raise UsageError(
            f"{shown(text)} lacks the {missing} the @.",
            hint=f"Give it as in {EXAMPLES}.",
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
            hint="Omit the jump host.",
        )
    return hops


def shown(text: str) -> str:
    """Return a value for a message: quoted, invisible characters escaped, at most one line long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _split_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in host:
            raise UsageError(
                f"{shown(text)}: brackets go around an IPv6 address, as in [2001:db8::1]:2222."
            )
        return host, _parse_port(rest[1:], of=text) if rest else None
    if text.count(":") != 1:
        return text, None  # a name, or an IPv6 address
    host, _, port = text.partition(":")
    return host, _parse_port(port, of=text)


def _parse_port(text: str, *, of: str) -> int:
    if not PORT.fullmatch(text):
        raise UsageError(
            f"{shown(of)}: what follows the colon must be a port, a number from 1 to 65535."
        )
    return int(text)


def _refuse_odd_characters(text: str) -> None:
    """Reject characters that are shown wrongly, or end the line that a value is written to."""
    if any(not character.isprintable() for character in text):
        raise UsageError(
            f"{shown(text)} contains an invisible character.",
            hint=f"Type the address, as in {EXAMPLES}.",
        )


def _validate_host(host: str) -> None:
    if ":" in host:
        _validate_ipv6(host)
    elif NUMBER.fullmatch(host.rpartition(".")[2]):
        _validate_ipv4(host)
    elif not HOST.fullmatch(host) or len(host) > LONGEST_HOST:
        raise UsageError(
            f"{shown(host)} is not a host name or address: letters, digits, dots, hyphens and "
            "underscores, no hyphen first.",
            hint=f"Give it as in {EXAMPLES}.",
        )


def _validate_ipv4(host: str) -> None:
    """Reject what ssh would take for a shortened address: 22 means 0.0.0.22 to it."""
    import ipaddress  # costs milliseconds that few calls need

    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise UsageError(
            f"{shown(host)} is not an address: four numbers from 0 to 255, as in 10.0.0.5.",
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
            f"{shown(host)} is not an IPv6 address ({error}).", hint=f"Give it as in {EXAMPLES}."
        ) from None


def _validate_user(user: str) -> None:
    if not USER.fullmatch(user) or len(user) > LONGEST_USER:
        raise UsageError(
            f"{shown(user)} is not a user name: letters, digits and . _ + @ ~ - only, no hyphen "
            "first.",
            hint=f"Give the address as in {EXAMPLES}.",
        )
