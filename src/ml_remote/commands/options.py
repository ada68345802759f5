"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable

import click

__all__ = [
    "alias_option",
    "dry_run_option",
    "json_option",
    "verbose_option",
    "yes_option",
]

_Command = Callable[..., None]
_Option = Callable[[_Command], _Command]

alias_option: _Option = click.option(
    "--alias", metavar="NAME", help="Another name for the machine than the one in lab.toml."
)
dry_run_option: _Option = click.option(
    "--dry-run", is_flag=True, help="Show what would be written, and write nothing."
)
yes_option: _Option = click.option(
    "--yes", "-y", is_flag=True, help="Answer every question with yes."
)
verbose_option: _Option = click.option(
    "--verbose", "-v", is_flag=True, help="Show everything that the cells print, as it comes."
)
json_option: _Option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object and nothing else; docs/contract.md lists its keys.",
)
