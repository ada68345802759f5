"""`lab runs`, `lab attach` and `lab stop`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, json_option, verbose_option, yes_option

__all__ = ["attach", "runs", "stop"]


@click.command(
    epilog="Example: lab runs --all",
)
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "show_all", is_flag=True, help="Show more than the last twenty.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for the end of RUN, else of the newest one, and end with its exit code.",
)
@click.option(
    "--remove",
    multiple=True,
    metavar="RUN",
    help="Remove a run and its results, here and on the machine; may be repeated.",
)
@yes_option
@json_option
@alias_option
@click.pass_context
def runs(
    context: click.Context,
    run: str | None,
    show_all: bool,
    wait: bool,
    remove: tuple[str, ...],
    yes: bool,
    as_json: bool,
    alias: str | None,
) -> None:
    """List the runs on the remote machine, the latest last.

    With RUN, which is its time or a part of that, only those that it means. With --remove, what
    would go is shown, and you are asked first. --wait shows nothing of what the run prints.
    """
    from ..runs.pairs import refuse_runs

    own: Context = context.obj
    refuse_runs({"run": run, "all": show_all, "wait": wait, "remove": remove, "json": as_json})
    if remove:
        from ..runs.removing import remove_runs

        remove_runs(own, remove, alias=alias, yes=yes)
        return
    if wait:
        from ..runs.running import wait_for

        code = wait_for(own, run, alias=alias)
        own.own_failure = None
        context.exit(code)
    from ..runs.listing import list_runs as carry_out

    carry_out(own, run, alias=alias, show_all=show_all, as_json=as_json)


@click.command(
    epilog="Example: lab attach, or a part of the time that names the run: lab attach 14-05",
)
@click.argument("run", required=False, metavar="[RUN]")
@verbose_option
@alias_option
@click.pass_context
def attach(context: click.Context, run: str | None, verbose: bool, alias: str | None) -> None:
    """Follow a run to its end, and bring its results home.

    Without RUN, the newest that is going on, or else the newest. The exit code is that of the
    program, if it is one.
    """
    from ..runs.running import attach as carry_out

    own: Context = context.obj
    code = carry_out(own, run, alias=alias, verbose=verbose)
    own.own_failure = None
    context.exit(code)


@click.command(epilog="Example: lab stop 14-05")
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "stop_all", is_flag=True, help="End every run that is going on.")
@click.option(
    "--forget",
    is_flag=True,
    help="Have a job count as over whose machine is gone or has another name now.",
)
@click.option(
    "--kernel",
    is_flag=False,
    flag_value="",
    metavar="[LAB]",
    help="End the kernel of LAB in VS Code or JupyterLab, else the only one that lives.",
)
@alias_option
@click.pass_obj
def stop(
    context: Context,
    run: str | None,
    stop_all: bool,
    forget: bool,
    kernel: str | None,
    alias: str | None,
) -> None:
    """End a run, and all that it has started. Without RUN, the one that is going on."""
    from ..runs.pairs import refuse_stop

    refuse_stop({"run": run, "all": stop_all, "forget": forget, "kernel": kernel})
    if kernel is not None:
        from ..sessions.kernels import stop_kernel

        stop_kernel(context, kernel, alias=alias)
        return
    from ..runs.running import stop_runs as carry_out

    carry_out(context, run, alias=alias, stop_all=stop_all, forget=forget)
