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
    """Keep secrets on the machine that runs find as variables.

    Sessions and shells find them, too. Only you can read them there. They are in no list of
    processes, log or commit, and a run that prints one has *** in its place. What a program writes
    into its own files is its own.
    """


@secret.command("set", epilog="Example: lab secret set WANDB_API_KEY < key.txt")
@click.argument("name", metavar="NAME")
@alias_option
@click.pass_obj
def set_(context: Context, name: str, alias: str | None) -> None:
    """Keep a value on the machine: type it, or give it on standard input."""
    from ..secrets_there import set_secret

    set_secret(context, name, alias=alias)


@secret.command("list", epilog="Example: lab secret list")
@json_option
@alias_option
@click.pass_obj
def list_(context: Context, as_json: bool, alias: str | None) -> None:
    """List the names of what is kept, and no values."""
    from ..secrets_there import list_secrets

    list_secrets(context, alias=alias, as_json=as_json)


@secret.command("remove", epilog="Example: lab secret remove WANDB_API_KEY")
@click.argument("name", metavar="NAME")
@alias_option
@click.pass_obj
def remove(context: Context, name: str, alias: str | None) -> None:
    """Remove a value from the machine."""
    from ..secrets_there import remove_secret

    remove_secret(context, name, alias=alias)
