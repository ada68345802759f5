"""`lab code`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option

__all__ = ["code"]


@click.command(
    epilog="Example: lab code",
)
@alias_option
@click.pass_obj
def code(context: Context, alias: str | None) -> None:
    """Open the project on the machine in VS Code.

    Writes ALIAS.code-workspace, which opens the folder there directly, installs the recommended
    extensions where it can, and starts the first of code, code-insiders, codium and cursor, or what
    LAB_EDITOR names. Without an editor here it prints the link that opens the folder.
    """
    from ..editor.code import code as carry_out

    carry_out(context, alias=alias)
