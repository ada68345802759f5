"""`lab status`."""

from __future__ import annotations

import click

from ..context import Context
from ..errors import UsageError
from .options import alias_option, json_option, node_option

__all__ = ["status"]


@click.command(
    epilog="Example: lab status",
)
@alias_option
@node_option
@click.option("--local", is_flag=True, help="Show the kernels on this computer instead.")
@json_option
@click.pass_obj
def status(context: Context, alias: str | None, local: bool, as_json: bool) -> None:
    """Show how busy the machine is, and what this project runs on it.

    Its GPUs and who uses them, its load, memory and disk, the runs and sessions in progress, and
    the live kernels.
    """
    if local:
        from ..sessions.kernels import show_local_kernels

        if alias is not None:
            raise UsageError("`--local` and `--alias` cannot be combined.")
        if context.is_on_node:
            raise UsageError("`--local` and `--node` cannot be combined.")
        show_local_kernels(context, as_json=as_json)
        return
    from ..status import status as carry_out

    carry_out(context, alias=alias, as_json=as_json)
