"""`lab connect` and `lab disconnect`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, dry_run_option, together, yes_option

__all__ = ["connect", "disconnect"]


_connect_options = together(
    click.argument("address", required=False, metavar="[USER@HOST[:PORT]]"),
    alias_option,
    click.option("--jump", metavar="HOSTS", help="Jump hosts to go through, separated by commas."),
    click.option("--identity", metavar="PATH", help="The key to log in with."),
    click.option(
        "--key-type",
        type=click.Choice(["ed25519", "ecdsa-521", "rsa-4096"]),
        help="Make a new key of this type, unless an existing one logs in. [default: the best that "
        "fits]",
    ),
    click.option(
        "--replace", "replace_other", is_flag=True, help="Point the alias at another machine."
    ),
    click.option("--offline", is_flag=True, help="Only write the SSH entry; contact nothing."),
)


@click.command(
    epilog="Example: lab connect ada@gpu.example.com:2222 --jump ada@gateway.example.com",
)
@_connect_options
@dry_run_option
@yes_option
@click.pass_obj
def connect(
    context: Context,
    address: str | None,
    alias: str | None,
    jump: str | None,
    identity: str | None,
    key_type: str | None,
    replace_other: bool,
    offline: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Make `ssh ALIAS` log in without a password, also from VS Code.

    Writes the SSH entry, shows the machine's host key, makes or finds a key, copies it to the
    machine (ssh asks for your password once) and checks that the login works. Running it again
    changes nothing. Without an address it prints a line to paste into a terminal on the other
    machine, which answers with the address.
    """
    alias = context.alias(alias)
    if offline or dry_run:
        from ..login.entries import write_entry

        write_entry(
            context,
            address,
            alias=alias,
            jump=jump,
            identity=identity,
            replace_other=replace_other,
            offline=offline,
            dry_run=dry_run,
            yes=yes,
        )
        return
    from ..login.connecting import connect as carry_out

    carry_out(
        context,
        address,
        alias=alias,
        jump=jump,
        identity=identity,
        key_type=key_type,
        replace_other=replace_other,
        yes=yes,
    )


@click.command(epilog="Example: lab disconnect --remove-key")
@alias_option
@click.option("--remove-key", is_flag=True, help="Also delete the key that was made for it.")
@dry_run_option
@yes_option
@click.pass_obj
def disconnect(
    context: Context, alias: str | None, remove_key: bool, dry_run: bool, yes: bool
) -> None:
    """Remove the SSH entry.

    Your own configuration is then byte for byte what it would be without it.
    """
    from ..login.disconnecting import disconnect as carry_out

    alias = context.alias(alias)
    carry_out(context, alias=alias, remove_key=remove_key, dry_run=dry_run, yes=yes)
