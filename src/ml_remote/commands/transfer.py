"""`lab push` and `lab pull`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option

__all__ = ["pull", "push"]


@click.command(epilog="Example: lab push --dirty")
@alias_option
@click.option("--dirty", is_flag=True, help="Send what is not committed, too, as it stands.")
@click.pass_obj
def push(context: Context, alias: str | None, dirty: bool) -> None:
    """Send your commits to the machine.

    They go by git into the project's folder there, which is made where it is missing, and are
    checked out. Work there that is not committed is never overwritten.
    """
    from ..transfer.pushing import push as carry_out

    carry_out(context, alias=alias, dirty=dirty)


@click.command(epilog="Example: lab pull 14-05, or: lab pull --exclude '*.pt'")
@click.argument("run", required=False, metavar="[RUN]", default="")
@alias_option
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Bring only such results; may be repeated."
)
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Leave such results; may be repeated."
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace files in outputs/ that differ here; yours are kept beside them.",
)
@click.option(
    "--accept-tool",
    is_flag=True,
    help="Agree to another commit of lab that the commits pin.",
)
@click.pass_obj
def pull(
    context: Context,
    run: str,
    alias: str | None,
    only: tuple[str, ...],
    exclude: tuple[str, ...],
    overwrite: bool,
    accept_tool: bool,
) -> None:
    """Bring commits and outputs/ back from the machine.

    Only what is new comes; a transfer that was cut continues where it stopped. A file of yours in
    outputs/ that differs is kept, with the machine's version beside it. What you have deleted here
    stays deleted. Commits that change what runs on this computer are named, and those that change
    lab itself are taken only when you agree.

    With RUN (the time that names it, or a part of that) or --only, these results come and no
    commits. PATTERN is a name, a path below outputs/ or a folder, with * and ?.
    """
    from ..transfer.choosing import Choice
    from ..transfer.pulling import pull as carry_out

    choice = Choice(run=run, only=only, exclude=exclude)
    carry_out(context, alias=alias, choice=choice, overwrite=overwrite, accept_tool=accept_tool)
