"""`lab doctor`."""

from __future__ import annotations

import sys

import click

from ..context import Context
from .options import alias_option, json_option

__all__ = ["doctor"]


@click.command(
    epilog="Example: lab doctor --copy > report.txt",
)
@alias_option
@click.option(
    "--copy", is_flag=True, help="Hide names, addresses and paths, so that you can share it."
)
@json_option
@click.pass_obj
def doctor(context: Context, alias: str | None, copy: bool, as_json: bool) -> None:
    """Check everything from here to the machine.

    Each failed check names the command that fixes it. The exit code is 1 if a check failed or could
    not decide (unknown); skipped checks do not count.
    """
    from ..doctor.report import doctor as carry_out

    if not carry_out(context, alias=alias, copy=copy, as_json=as_json):
        sys.exit(1)
