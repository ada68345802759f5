"""`lab new`."""

from __future__ import annotations

import click

from ..context import Context

__all__ = ["new"]


@click.command(
    epilog="Example: lab new leaves, or: lab new houses --kind table",
)
@click.argument("name", metavar="NAME")
@click.option(
    "--kind",
    type=click.Choice(["images", "table", "empty"]),
    default="images",
    show_default=True,
    help="What it learns from: a folder of images, a CSV file, or nothing yet.",
)
@click.pass_obj
def new(context: Context, name: str, kind: str) -> None:
    """Create a lab that runs at once and can be pointed at your own data.

    It is a script, labs/NAME.py, with its notebook beside it. It learns from made-up data until a
    line in its first cell names yours. Existing files are never replaced.
    """
    from ..labs.new import new as carry_out

    carry_out(context, name, kind=kind)
