"""`lab runs`, `lab attach` and `lab stop`."""

from __future__ import annotations

import click

from ..context import Context
from .options import alias_option, json_option, together, verbose_option, yes_option

__all__ = ["attach", "runs", "stop"]


_runs_options = together(
    click.argument("runs_meant", nargs=-1, metavar="[RUN]"),
    click.option(
        "--all", "show_all", is_flag=True, help="Show all runs, not only the last twenty."
    ),
    click.option(
        "--wait",
        is_flag=True,
        help="Wait until RUN (default: the newest) has ended, and exit with its exit code.",
    ),
    click.option(
        "--remove",
        multiple=True,
        metavar="RUN",
        help="Remove a run and its results, here and on the machine; more RUNs can follow.",
    ),
    click.option(
        "--compare", is_flag=True, help="Show the runs side by side: what differs, and the metrics."
    ),
    click.option(
        "--by",
        metavar="max:METRIC",
        help="Sort by a metric and mark the best: max:NAME or min:NAME.",
    ),
    click.option("--csv", "as_csv", is_flag=True, help="Print the comparison as CSV."),
    click.option("--plot", metavar="FILE.png", help="Save a plot of the comparison."),
    click.option(
        "--keep-best",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --remove and --by: keep the best N of these runs.",
    ),
    yes_option,
    json_option,
    alias_option,
)


@click.command(epilog="Example: lab runs --all")
@_runs_options
@click.pass_context
def runs(
    context: click.Context,
    runs_meant: tuple[str, ...],
    show_all: bool,
    wait: bool,
    remove: tuple[str, ...],
    compare: bool,
    by: str | None,
    as_csv: bool,
    plot: str | None,
    keep_best: int | None,
    yes: bool,
    as_json: bool,
    alias: str | None,
) -> None:
    """List the runs on the machine, the latest last.

    RUN, the time that names a run or a part of it, limits the list. --remove shows what it would
    remove and asks first. --wait does not show what the run prints.

    With --compare, RUN may be a lab, a sweep, or a pattern with * and ?; without it, all runs are
    compared. Example: lab runs --compare LAB --by max:accuracy
    """
    from ..runs.option_conflicts import check_runs_options

    own: Context = context.obj
    one = runs_meant[0] if runs_meant else None
    given = {"run": one, "all": show_all, "wait": wait, "remove": remove, "json": as_json}
    compared = {"compare": compare, "by": by, "csv": as_csv, "plot": plot, "keep_best": keep_best}
    check_runs_options({**given, **compared, "more": runs_meant[1:]})
    if remove:
        from ..runs.removing import remove_runs

        remove_runs(own, (*remove, *runs_meant), alias=alias, yes=yes, keep_best=keep_best, by=by)
    elif compare:
        from ..runs.comparing import compare_runs

        compare_runs(
            own, one, alias=alias, by=by, as_csv=as_csv, as_json=as_json, plot=plot,
            show_all=show_all,
        )  # fmt: skip
    elif wait:
        from ..runs.following import wait_for

        code = wait_for(own, one, alias=alias)
        own.own_failure = None
        context.exit(code)
    else:
        from ..runs.listing import list_runs

        list_runs(own, one, alias=alias, show_all=show_all, as_json=as_json)


@click.command(
    epilog="Example: lab attach, or a part of the time that names the run: lab attach 14-05",
)
@click.argument("run", required=False, metavar="[RUN]")
@verbose_option
@alias_option
@click.pass_context
def attach(context: click.Context, run: str | None, verbose: bool, alias: str | None) -> None:
    """Follow a run to its end, and fetch its results.

    Without RUN, the newest that is still running, or else the newest. For a program, the exit code
    is the program's.
    """
    from ..runs.following import attach as carry_out

    own: Context = context.obj
    code = carry_out(own, run, alias=alias, verbose=verbose)
    own.own_failure = None
    context.exit(code)


@click.command(epilog="Example: lab stop 14-05")
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "stop_all", is_flag=True, help="Stop every run in progress.")
@click.option(
    "--forget",
    is_flag=True,
    help="Mark a job as ended if its machine is gone or has a new name.",
)
@click.option(
    "--kernel",
    is_flag=False,
    flag_value="",
    metavar="[LAB]",
    help="End the kernel of LAB in VS Code or JupyterLab; without LAB, the only one.",
)
@click.option("--local", is_flag=True, help="With --kernel: a kernel on this computer.")
@alias_option
@click.pass_obj
def stop(
    context: Context,
    run: str | None,
    stop_all: bool,
    forget: bool,
    kernel: str | None,
    local: bool,
    alias: str | None,
) -> None:
    """Stop a run and every process it started. Without RUN, the one in progress."""
    from ..runs.option_conflicts import check_stop_options

    given = {"run": run, "all": stop_all, "forget": forget, "kernel": kernel}
    check_stop_options({**given, "local": local, "alias": alias})
    if kernel is not None:
        from ..sessions.kernels import stop_kernel

        stop_kernel(context, kernel, alias=alias, local=local)
        return
    from ..runs.following import stop_runs as carry_out

    carry_out(context, run, alias=alias, stop_all=stop_all, forget=forget)
