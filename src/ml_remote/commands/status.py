"""`lab status`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, json_option

__all__ = ["status"]


@click.command(
    epilog="Example: lab status",
)
@alias_option
@json_option
@click.pass_obj
def status(context: Context, alias: str | None, as_json: bool) -> None:
    """Show how busy the machine is, and what of this project runs there.

    Its GPUs and who uses them, its load, memory and disk, the runs and sessions that have not
    ended, and the kernels that live.
    """
    from ..status import status as carry_out

    carry_out(context, alias=alias, as_json=as_json)
