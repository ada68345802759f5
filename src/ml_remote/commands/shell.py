"""`lab shell`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, node_option

__all__ = ["shell"]


@click.command(
    epilog="Example: lab shell -- python -m pytest",
    context_settings={"allow_interspersed_args": False},
)
@alias_option
@node_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.pass_context
def shell(context: click.Context, alias: str | None, command: tuple[str, ...]) -> None:
    """Open a shell in the project's folder on the machine, or run one command.

    It is your own login shell, with the programs of the project's environment first on PATH. It
    ends with the exit code of the shell or command (128 and more if a signal ended it), or with 125
    if lab itself fails.
    """
    from ..shell import shell as carry_out

    own: Context = context.obj
    code = carry_out(own, command, alias=alias)
    own.own_failure = None
    context.exit(code)
