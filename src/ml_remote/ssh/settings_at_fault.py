"""Options of the person's own configuration that keep a machine from being used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..errors import ConfigurationError
from ..files import read_bytes
from .config_query import FOR_COMMANDS, query
from .configuration import read_sources
from .ssh_directory import ssh_directory

__all__ = ["fault_of_settings", "setting_that_rules_out"]

_HINT = "Change that line of your SSH configuration, or limit it to the hosts that need it"
_NEGOTIATE = r"(?m)^Unable to negotiate with .*: no matching"

# (what ssh says, the option that may be why, what that rules out)
_RULED_OUT = (
    (f"{_NEGOTIATE} host key type found", "HostKeyAlgorithms", "every host key"),
    (f"{_NEGOTIATE} key exchange method found", "KexAlgorithms", "every key exchange"),
    (f"{_NEGOTIATE} cipher found", "Ciphers", "every cipher"),
    (f"{_NEGOTIATE} MAC found", "MACs", "every MAC"),
    (
        r"(?m)^ssh: Could not resolve hostname \S+: "
        r"(?:Address family for hostname not supported|No address associated with hostname)",
        "AddressFamily",
        "every address",
    ),
)


def fault_of_settings(
    resolved: Mapping[str, Sequence[str]], *, alias: str
) -> ConfigurationError | None:
    """Return the error for an option with which ssh runs no command, or gives it no input.

    `resolved` is what `Client.resolve` returned. Setting the option back is no way out: ssh before
    8.7 does not know it, and any other ssh then refuses -N.
    """
    for keyword, needed in FOR_COMMANDS.items():
        (value, *_) = resolved.get(keyword.lower(), [needed])
        if value != needed:
            return ConfigurationError(
                f"Your SSH configuration sets {keyword} {value} for {alias}, so no program can run "
                "commands there.",
                hint=_HINT,
            )
    return None


def setting_that_rules_out(stderr: str, *, alias: str) -> ConfigurationError | None:
    """Return the error for an option that leaves nothing which ssh and the machine have in common.

    `stderr` is what ssh said.
    """
    for pattern, keyword, ruled_out in _RULED_OUT:
        place = _where_set(keyword, alias) if re.search(pattern, stderr) else None
        if place is not None:
            return ConfigurationError(
                f"{keyword} in {place} rules out {ruled_out} of {alias}.", hint=_HINT
            )
    return None


def _where_set(keyword: str, alias: str) -> str | None:
    """Return the line of the person's configuration that sets an option for `alias`, if one does.

    One that only adds to the list (+) or orders it (^) rules out nothing.
    """
    directory, name = ssh_directory(), keyword.lower()
    config = directory / "config"
    own, _ = query(alias, directory)
    usual, _ = query(alias, directory, ["-F", "none"])
    if own.get(name) == usual.get(name):
        return None
    for path, lines in read_sources(config, read_bytes(config) or b"").items():
        for number, line in enumerate(lines, start=1):
            if line.keyword == name and not "".join(line.arguments).startswith(("+", "^")):
                return f"line {number} of {path}"
    return None
