"""`lab setup` and `lab up`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, yes_option

__all__ = ["setup", "up"]


@click.command(
    epilog="Example: lab setup --local",
)
@alias_option
@click.option("--local", is_flag=True, help="Make it on this computer.")
@click.option(
    "--carry", is_flag=True, help="Bring the packages along: the machine has no internet."
)
@yes_option
@click.pass_obj
def setup(context: Context, alias: str | None, local: bool, carry: bool, yes: bool) -> None:
    """Make the project's environment on the machine.

    What is there already is brought up to date.
    It goes on there when the connection is lost; running this again shows it again.
    """
    from ..environment import setup as carry_out

    carry_out(context, alias=alias, local=local, carry=carry, yes=yes)


@click.command(
    epilog="Example: lab up --no-code",
)
@alias_option
@click.option("--no-code", is_flag=True, help="Do not open VS Code.")
@yes_option
@click.pass_obj
def up(context: Context, alias: str | None, no_code: bool, yes: bool) -> None:
    """Do all that is needed to work there: connect, push, setup, code.

    Each step does only what is left to do. VS Code opens while the environment is still being made.
    """
    from ..up import up as carry_out

    carry_out(context, alias=alias, code=not no_code, yes=yes)
