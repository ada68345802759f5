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
@click.option("--local", is_flag=True, help="Make the environment on this computer instead.")
@click.option(
    "--carry",
    is_flag=True,
    help="Download the packages here and send them, for a machine without internet.",
)
@click.option(
    "--slurm", is_flag=True, help="Make it in a Slurm job, for login nodes that kill long programs."
)
@yes_option
@click.pass_obj
def setup(
    context: Context, alias: str | None, local: bool, carry: bool, slurm: bool, yes: bool
) -> None:
    """Create or update the environment on the machine.

    An existing environment is updated. Setup continues on the machine if the connection is lost;
    run the command again to follow it.

    With --slurm, or `in_job = true` in [environment] of lab.toml, it is made on one compute node,
    with what [slurm] asks for. That node downloads the packages, or gets them by --carry.
    """
    from ..environment import setup as carry_out

    carry_out(context, alias=alias, local=local, carry=carry, slurm=slurm, yes=yes)


@click.command(
    epilog="Example: lab up --no-code",
)
@alias_option
@click.option("--no-code", is_flag=True, help="Do not open VS Code.")
@yes_option
@click.pass_obj
def up(context: Context, alias: str | None, no_code: bool, yes: bool) -> None:
    """Connect, send the code, make the environment and open VS Code.

    Each step does only what is still needed. VS Code opens as soon as there is an interpreter; its
    cells wait for the environment.
    """
    from ..up import up as carry_out

    carry_out(context, alias=alias, code=not no_code, yes=yes)
