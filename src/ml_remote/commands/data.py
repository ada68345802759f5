"""`lab data push`, `pull` and `status`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, json_option, yes_option

__all__ = ["data"]


@click.group("data", epilog="Example: lab data push")
def data() -> None:
    """Copy data/, which git ignores, to the machine and back.

    Only what is new or changed is copied, and a transfer that was cut continues where it stopped.
    Nothing is deleted unasked. What `.labignore` names stays where it is (the syntax is that of
    .gitignore). PATH is a file or folder in data/.
    """


_paths = click.argument("paths", nargs=-1, metavar="[PATH]...")
_delete = click.option(
    "--delete", is_flag=True, help="Delete what is only on the other side; the list is shown first."
)
_overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace files that were changed on the other side, too."
)


@data.command("push", epilog="Example: lab data push data/leaves")
@_paths
@_delete
@_overwrite
@yes_option
@alias_option
@click.pass_obj
def push(
    context: Context,
    paths: tuple[str, ...],
    delete: bool,
    overwrite: bool,
    yes: bool,
    alias: str | None,
) -> None:
    """Send what is new or changed in data/ to the machine.

    A file that was changed there since it was last copied, or on both sides, is named and not
    replaced; nor is one that differs and was never copied by lab.
    """
    from ..transfer.data.sending import push as carry_out

    carry_out(context, paths, alias=alias, delete=delete, overwrite=overwrite, yes=yes)


@data.command("pull", epilog="Example: lab data pull data/leaves")
@_paths
@_delete
@_overwrite
@yes_option
@alias_option
@click.pass_obj
def pull(
    context: Context,
    paths: tuple[str, ...],
    delete: bool,
    overwrite: bool,
    yes: bool,
    alias: str | None,
) -> None:
    """Bring what is new or changed in data/ on the machine here.

    A file that was changed here since it was last copied, or on both sides, is named and not
    replaced; nor is one that differs and was never copied by lab.
    """
    from ..transfer.data.bringing import pull as carry_out

    carry_out(context, paths, alias=alias, delete=delete, overwrite=overwrite, yes=yes)


@data.command("status", epilog="Example: lab data status")
@_paths
@json_option
@alias_option
@click.pass_obj
def status(context: Context, paths: tuple[str, ...], as_json: bool, alias: str | None) -> None:
    """Show what differs in data/ here and on the machine, by sizes and times; copy nothing."""
    from ..transfer.data.status import status as carry_out

    carry_out(context, paths, alias=alias, as_json=as_json)
