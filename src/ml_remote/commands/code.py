"""`lab code`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, node_option

__all__ = ["code"]


@click.command(
    epilog="Example: lab code --editor cursor",
)
@click.option(
    "--editor",
    metavar="NAME",
    help="The editor: code, code-insiders, codium, cursor, windsurf, positron, zed, gateway "
    "(JetBrains), or the path of one. LAB_EDITOR sets it permanently.",
)
@alias_option
@node_option
@click.pass_obj
def code(context: Context, editor: str | None, alias: str | None) -> None:
    """Open the project on the machine in VS Code.

    Writes ALIAS.code-workspace, which opens the folder on the machine directly, installs the
    recommended extensions if it can, and starts the first of code, code-insiders, codium, cursor,
    windsurf and positron, or the editor you name. The first time, it opens README.md and a lab. If
    there is no editor on this computer, it prints a link that opens the folder.
    """
    from ..editor.code import code as carry_out

    carry_out(context, alias=alias, named=editor)
