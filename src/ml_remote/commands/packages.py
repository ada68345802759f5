"""`lab add`, `lab remove` and `lab lock`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option

__all__ = ["add", "lock", "remove"]

_local_option = click.option(
    "--local", is_flag=True, help="Install on this computer instead of the machine."
)


@click.command(epilog='Example: lab add timm "opencv-python-headless>=4.10"')
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@alias_option
@_local_option
@click.pass_obj
def add(context: Context, packages: tuple[str, ...], alias: str | None, local: bool) -> None:
    """Add packages to the project and install them on the machine.

    They are added to pyproject.toml and environment.yml, and locked in requirements.lock.
    """
    from ..packages import add as carry_out

    carry_out(context, packages, alias=alias, local=local)


@click.command(epilog="Example: lab remove timm")
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@alias_option
@_local_option
@click.pass_obj
def remove(context: Context, packages: tuple[str, ...], alias: str | None, local: bool) -> None:
    """Remove packages from the project and from the environment on the machine."""
    from ..packages import remove as carry_out

    carry_out(context, packages, alias=alias, local=local)


@click.command(epilog="Example: lab lock --upgrade")
@click.option("--upgrade", is_flag=True, help="Upgrade to the newest versions, and install them.")
@alias_option
@_local_option
@click.pass_obj
def lock(context: Context, upgrade: bool, alias: str | None, local: bool) -> None:
    """Write requirements.lock, the versions that everyone gets.

    Locked versions stay the same without --upgrade.
    """
    from ..packages import renew as carry_out

    carry_out(context, upgrade=upgrade, alias=alias, local=local)
