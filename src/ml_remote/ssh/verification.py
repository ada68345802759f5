"""Checking what a configuration will mean before it is written, on a copy of it.

Other hosts keep their meaning by construction: our line is the very first, and what it includes is
a block that ends with its file, for an alias that nobody else names. So ssh is asked about our
alias, and about the bare address, which may mean something to the person's configuration already.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from ..errors import ConfigurationError, UnsafeEditError
from .config_query import SECONDS, copied, query, quiet_shell
from .configuration import count_commands
from .entry import Entry, plain_options
from .ssh_directory import State

__all__ = ["check"]

_NOISE = re.compile(r"$|Pseudo-terminal|.*terminating, ")

Options = Mapping[str, Sequence[str]]


def check(before: State, after: State, *, entry: Entry) -> list[str]:
    """Check that the alias means `entry` after the edit; return sentences for the person.

    Raises UnsafeEditError, without instructions, when the edit would do harm or cannot be checked;
    ConfigurationError when the entry's address is itself an alias of the person's.
    """
    address, fault = _ask(before, entry.destination.host)
    options, new_fault = _ask(after, entry.alias)
    if new_fault and fault:  # its line numbers are those of the file as it is
        raise _unreadable(fault)
    if new_fault:
        raise _harm(f"ssh would then fail: {new_fault}", "Add the text by hand, if you mean it.")
    _check_meaning(entry, options)
    notes = [*_unasked_options(entry, options)]
    if fault:
        notes.append(f"ssh could not read its configuration before: {fault}")
    else:
        notes += _differences_from_address(entry, address, options)
    commands = count_commands(after.config, after.data or b"")
    if commands:
        notes.append(f"The check ran no command of Match exec. Lines that have one: {commands}.")
    return notes


def _check_meaning(entry: Entry, options: Options) -> None:
    for keyword, value in plain_options(entry).items():
        got = next(iter(options.get(keyword.lower(), ())), "none")
        if _comparable(got) != _comparable(value):
            raise _harm(
                f"`ssh {entry.alias}` would have {keyword} {got} instead of {value}.",
                "Find what in your configuration affects it, or choose another alias.",
            )


def _comparable(value: str) -> str:
    """Return a value without what some versions of ssh print differently from what was written.

    Jump hosts that are addresses come in brackets; `%` comes doubled or not; an IPv6 address has
    many spellings.
    """
    import ipaddress  # costs milliseconds that few calls need

    try:
        return str(ipaddress.IPv6Address(value))
    except ValueError:
        return value.replace("[", "").replace("]", "").replace("%%", "%")


def _unasked_options(entry: Entry, options: Options) -> Iterator[str]:
    """Yield what the person's own wildcards add to the entry, where that is likely to matter."""
    ours = {keyword.lower() for keyword in plain_options(entry)}
    for keyword in ("proxyjump", "proxycommand", "remotecommand", "requesttty"):
        for value in () if keyword in ours else options.get(keyword, ()):
            sentence = f"Your configuration adds {keyword} {value} to {entry.alias}"
            if keyword.startswith("proxy"):
                yield f"{sentence}."
            elif value not in ("auto", "false", "no", "none"):
                yield f"{sentence}: VS Code cannot connect while it does."


def _differences_from_address(entry: Entry, address: Options, options: Options) -> Iterator[str]:
    """Compare the alias with what `ssh` makes of the bare address in the person's configuration."""
    host = entry.destination.host
    (meant, *_) = address.get("hostname", (host,))
    if _comparable(meant) != _comparable(host):
        raise ConfigurationError(
            f"{host} is an alias in your configuration and means {meant}; ssh would look for a "
            f"machine with the real name {host}.",
            hint=f"Give the address {meant} instead, or use that entry as it is: in lab.toml, "
            f'alias = "{host}" in [remote]',
        )
    for keyword, option in (("proxyjump", "; for the same, add --jump {}"), ("proxycommand", "")):
        for through in () if options.get(keyword) or entry.jump else address.get(keyword, ()):
            yield (
                f"`ssh {host}` goes through {through} by your configuration, "
                f"`ssh {entry.alias}` does not{option.format(through)}."
            )


def _ask(state: State, alias: str) -> tuple[Options, str]:
    """Return what ssh says about an alias, and why it failed if it did.

    Raises UnsafeEditError, without instructions, when there is no ssh, or it takes too long.
    """
    shell = quiet_shell()
    with copied(state, is_whole=not shell) as (config, names):
        # Names are looked up nowhere: without this, CanonicalizeHostname would ask the network.
        flags = ["-F", str(config), "-o", "CanonicalizeHostname=no"]
        try:
            options, result = query(alias, flags, variables=shell)
        except ConfigurationError as missing:
            raise _harm(
                f"{missing.message} The configuration cannot be checked without it.", missing.hint
            ) from None
        except subprocess.TimeoutExpired:
            raise _harm(
                f"`ssh -G {alias}` did not end within {SECONDS:.0f} seconds, so the "
                "configuration cannot be checked.",
                f"Try `ssh -G {alias}` yourself.",
            ) from None
    if result.returncode == 0:
        return options, ""
    said = [line for line in map(str.strip, result.stderr.splitlines()) if not _NOISE.match(line)]
    fault = said[0] if said else "it gave no reason"
    for copy in sorted(names, key=len, reverse=True):
        fault = fault.replace(copy, names[copy])
    return options, fault


def _unreadable(fault: str) -> UnsafeEditError:
    """Return the error for a configuration that ssh cannot read, by ssh's own words."""
    hint = "Fix that, then run the command again."
    if "usekeychain" in fault.lower():
        hint = (
            "UseKeychain is known on macOS only. Put `IgnoreUnknown UseKeychain` on a line "
            "before it, then run the command again."
        )
    return _harm(f"ssh cannot read its configuration: {fault}", hint)


def _harm(message: str, hint: str | None) -> UnsafeEditError:
    return UnsafeEditError(message, instructions="", hint=hint)
