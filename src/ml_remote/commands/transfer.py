"""`lab push` and `lab pull`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option

__all__ = ["pull", "push"]


@click.command(epilog="Example: lab push --dirty")
@alias_option
@click.option("--dirty", is_flag=True, help="Also send uncommitted changes, as they are.")
@click.pass_obj
def push(context: Context, alias: str | None, dirty: bool) -> None:
    """Send your commits to the machine.

    git checks them out in the project's folder on the machine, which is created if it is missing.
    Uncommitted work on the machine is never overwritten.
    """
    from ..transfer.pushing import push as carry_out

    carry_out(context, alias=alias, dirty=dirty)


@click.command(epilog="Example: lab pull 14-05, or: lab pull --exclude '*.pt'")
@click.argument("run", required=False, metavar="[RUN]", default="")
@alias_option
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Fetch only matching results; can be repeated."
)
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Skip matching results; can be repeated."
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace files in outputs/ that differ; yours are kept beside them.",
)
@click.option(
    "--accept-tool",
    is_flag=True,
    help="Accept commits that pin another commit of lab.",
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
    """Fetch commits and outputs/ from the machine.

    Only what is new is copied; an interrupted transfer continues where it stopped. If a file in
    outputs/ differs, yours is kept, with the machine's version beside it. Results that you deleted
    here stay deleted. Commits that change what runs on this computer are named, and those that
    change lab itself are taken only when you agree.

    With RUN (the time that names it, or a part of that) or --only, these results come and no
    commits. PATTERN is a name, a path below outputs/ or a folder, with * and ?.
    """
    from ..runs.sweeps.pulling import pull_spread
    from ..transfer.choosing import Choice
    from ..transfer.pulling import pull as carry_out

    if run and alias is None and pull_spread(context, run, exclude, overwrite=overwrite):
        return
    choice = Choice(run=run, only=only, exclude=exclude)
    carry_out(context, alias=alias, choice=choice, overwrite=overwrite, accept_tool=accept_tool)
