"""`lab show`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, json_option

__all__ = ["show"]


@click.command(epilog="Example: lab show 14-05")
@click.argument("run", required=False, metavar="[RUN]")
@json_option
@alias_option
@click.pass_obj
def show(context: Context, run: str | None, as_json: bool, alias: str | None) -> None:
    """Show what a run did, and its results.

    This covers its code, packages, parameters, device, exit code and metrics, as far as they are
    known. RUN is the time that names it, or a part of it; without RUN, the newest that is still
    running, or else the newest. A sweep is shown as `lab runs SWEEP` shows it.
    """
    from ..runs.showing import show_run

    show_run(context, run, alias=alias, as_json=as_json)
