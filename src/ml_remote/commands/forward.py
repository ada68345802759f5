"""`lab forward`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, node_option

__all__ = ["forward"]


@click.command(
    epilog="Example: lab forward 7860 8080:5000 --open",
)
@click.argument("ports", nargs=-1, required=True, metavar="PORT...")
@click.option("--open", "open_page", is_flag=True, help="Open the first one in the browser.")
@alias_option
@node_option
@click.pass_obj
def forward(context: Context, ports: tuple[str, ...], open_page: bool, alias: str | None) -> None:
    """Forward ports of this computer to programs on the machine.

    PORT is the same number on both sides; LOCAL:REMOTE names two; LOCAL:HOST:REMOTE leads to
    another computer that the machine can reach; LOCAL:./SOCKET leads to a socket in the project's
    folder. Other users of the machine reach its ports, but no socket in a folder that only you can
    enter. It listens on 127.0.0.1 only, reconnects after a lost network, and is closed by Ctrl-C.
    """
    from ..sessions.forward import forward as carry_out

    carry_out(context, ports, alias=alias, open_page=open_page)
