"""The aliases of compute nodes: that of the login node, a hyphen, and the name of the node."""

from __future__ import annotations

import re

from ..answers import Kind, is_a
from ..errors import LabError, UsageError
from .address import validate_alias
from .ssh_directory import known_hosts_path, ssh_directory

__all__ = ["DEFAULT", "NODE", "alias_of", "alias_of_node", "names_node"]

DEFAULT = "node"
"""The name of the node that `--node` stands for."""
# Each has a file in .lab/nodes, beside the keys and what is written there for a moment.
_OUR_FILES = r"keys|host_key.*|.*\.(?:new|claim|pub)"
NODE = Kind("name of a node", re.compile(rf"(?!(?:{_OUR_FILES})\Z)[a-z0-9][a-z0-9._-]{{0,30}}"))


def alias_of(alias: str, name: str) -> str:
    """Return the alias of a node. Raises UsageError when it cannot be one."""
    if not is_a(NODE, name):
        raise UsageError(
            f"A node cannot be called {name!r}. Use lower-case letters, digits, -, _ and ., at "
            "most 31 of them, and no name of a file that lab keeps for its nodes: keys, host_key, "
            "and what ends in .new, .claim or .pub.",
            hint="lab node --name big",
        )
    return validate_alias(f"{alias}-{name}")


def alias_of_node(alias: str) -> str:
    """Return the alias that `--node` means. Raises LabError when there is no such entry."""
    node = alias_of(alias, DEFAULT)
    if not names_node(node):
        raise LabError(f"There is no SSH entry {node} yet.", hint="Get a compute node: lab node")
    return node


def names_node(alias: str) -> bool:
    """Return whether an alias is that of a compute node, whose host key is in a file of its own."""
    try:
        return known_hosts_path(alias, ssh_directory()).is_file()
    except OSError:
        return False  # reading the entry says why
