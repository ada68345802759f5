"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable

import click

from ..context import Context

__all__ = [
    "Option",
    "alias_option",
    "dry_run_option",
    "json_option",
    "node_option",
    "together",
    "verbose_option",
    "yes_option",
]

_Command = Callable[..., None]
Option = Callable[[_Command], _Command]
"""What gives a command an option or an argument."""


def together(*several: Option) -> Option:
    """Add several options to a command, in this order: one name for many lines."""

    def give(command: _Command) -> _Command:
        for one in reversed(several):
            command = one(command)
        return command

    return give


alias_option: Option = click.option(
    "--alias", metavar="NAME", help="SSH alias of the machine, instead of the one in lab.toml."
)


def _go_to_node(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Make the command use the compute node of the machine."""
    own = context.find_object(Context)
    if own is not None and wanted:
        own.is_on_node = True


node_option: Option = click.option(
    "--node",
    is_flag=True,
    expose_value=False,
    callback=_go_to_node,
    help="Use the compute node that you got with `lab node`.",
)
dry_run_option: Option = click.option(
    "--dry-run", is_flag=True, help="Show what would be written, but write nothing."
)
yes_option: Option = click.option("--yes", "-y", is_flag=True, help="Answer yes to every question.")
verbose_option: Option = click.option(
    "--verbose", "-v", is_flag=True, help="Show everything the cells print, as it is printed."
)
json_option: Option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object and nothing else; docs/contract.md lists its keys.",
)
