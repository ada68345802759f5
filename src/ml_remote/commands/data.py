"""`lab data push`, `pull` and `status`."""

from __future__ import annotations

from typing import TypedDict, Unpack

import click

from ..context import Context
from .options import alias_option, json_option, together, yes_option

__all__ = ["data"]


@click.group("data", epilog="Example: lab data push")
def data() -> None:
    """Copy data/, which git ignores, to and from the machine.

    Only what is new or changed is copied, and an interrupted transfer continues where it stopped.
    Nothing is deleted unless you ask for it. Files that `.labignore` names are skipped (same syntax
    as .gitignore). PATH is a file or folder in data/.
    """


_paths = click.argument("paths", nargs=-1, metavar="[PATH]...")
_delete = click.option(
    "--delete", is_flag=True, help="Delete what is only on the other side; the list is shown first."
)
_overwrite = click.option(
    "--overwrite", is_flag=True, help="Also replace files that were changed on the other side."
)


class _Copying(TypedDict):
    """The arguments of both directions."""

    delete: bool
    overwrite: bool
    yes: bool
    alias: str | None


_copy_options = together(_paths, _delete, _overwrite, yes_option, alias_option)


@data.command("push", epilog="Example: lab data push data/leaves")
@_copy_options
@click.pass_obj
def push(context: Context, paths: tuple[str, ...], **options: Unpack[_Copying]) -> None:
    """Send what is new or changed in data/ to the machine.

    A file that was changed there since it was last copied, or on both sides, is named but not
    replaced; the same holds for a file that differs and that lab never copied.
    """
    from ..transfer.data.pushing import push as carry_out

    carry_out(context, paths, **options)


@data.command("pull", epilog="Example: lab data pull data/leaves")
@_copy_options
@click.pass_obj
def pull(context: Context, paths: tuple[str, ...], **options: Unpack[_Copying]) -> None:
    """Fetch what is new or changed in data/ on the machine.

    A file that was changed here since it was last copied, or on both sides, is named but not
    replaced; the same holds for a file that differs and that lab never copied.
    """
    from ..transfer.data.pulling import pull as carry_out

    carry_out(context, paths, **options)


@data.command("status", epilog="Example: lab data status")
@_paths
@json_option
@alias_option
@click.pass_obj
def status(context: Context, paths: tuple[str, ...], as_json: bool, alias: str | None) -> None:
    """Show how data/ here and on the machine differ, by size and time; copy nothing."""
    from ..transfer.data.status import status as carry_out

    carry_out(context, paths, alias=alias, as_json=as_json)
