"""`lab secret set`, `list` and `remove`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, json_option

__all__ = ["secret"]


@click.group(
    "secret",
    epilog="Example: lab secret set WANDB_API_KEY",
)
def secret() -> None:
    """Keep secrets on the machine, which runs get as variables.

    Sessions and shells get them too. Only you can read them on the machine. They appear in no
    process list, log or commit; if a run prints one, its log shows *** instead. Files that a
    program writes are not masked.
    """


@secret.command("set", epilog="Example: lab secret set WANDB_API_KEY < key.txt")
@click.argument("name", metavar="NAME")
@alias_option
@click.pass_obj
def set_(context: Context, name: str, alias: str | None) -> None:
    """Store a value on the machine: type it, or pass it on standard input."""
    from ..project_secrets import set_secret

    set_secret(context, name, alias=alias)


@secret.command("list", epilog="Example: lab secret list")
@json_option
@alias_option
@click.pass_obj
def list_(context: Context, as_json: bool, alias: str | None) -> None:
    """List the names of the stored secrets, not their values."""
    from ..project_secrets import list_secrets

    list_secrets(context, alias=alias, as_json=as_json)


@secret.command("remove", epilog="Example: lab secret remove WANDB_API_KEY")
@click.argument("name", metavar="NAME")
@alias_option
@click.pass_obj
def remove(context: Context, name: str, alias: str | None) -> None:
    """Remove a secret from the machine."""
    from ..project_secrets import remove_secret

    remove_secret(context, name, alias=alias)
