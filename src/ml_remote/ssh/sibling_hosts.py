"""The alias of another host behind the same login, such as a second login node."""

from __future__ import annotations

from ..errors import LabError
from .client import Client
from .ssh_config import list_entries

__all__ = ["sibling_alias"]


def sibling_alias(client: Client, host: str) -> tuple[str, str]:
    """Return the alias of a host that only `client` reaches, and the command that makes that alias.

    The command is empty where there is such an alias already. `host` is a checked host name.
    """
    try:
        entries = list_entries(client.directory)
    except LabError:
        entries = []
    short = host.partition(".")[0]
    user = next((one.destination.user for one in entries if one.alias == client.alias), None)
    for entry in entries:
        if entry.destination.host.partition(".")[0] == short and entry.alias != client.alias:
            return entry.alias, ""
    alias = f"{client.alias}-{short.lower()}"
    to = f"{user or 'YOU'}@{host}"
    return alias, f"lab connect {to} --jump {client.alias} --alias {alias}"
