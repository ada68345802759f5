"""`lab run`, `lab runs`, `lab attach` and `lab stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ..context import Context
from ..errors import UsageError
from .options import alias_option, verbose_option, yes_option

if TYPE_CHECKING:
    from ..runs.launchers.launcher import Order

__all__ = ["attach", "run_lab", "runs", "stop"]


def _complete_lab(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return the labs whose path begins like that, for a shell that completes it."""
    from ..runs.labs import known_labs

    found = context.find_object(Context)
    known = known_labs(found.project) if found is not None else []
    # A shell reads them by lines, and shows them as they are.
    return [CompletionItem(path) for path in known if path.startswith(begun) and path.isprintable()]


class _Run(click.Command):
    """`lab run`, which has the options of every launcher; `lab --help` does not wait for these."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all options, `--help` last."""
        from ..runs.launchers import LAUNCHERS

        *own, help_option = super().get_params(ctx)
        return [*own, *(one for each in LAUNCHERS.values() for one in each.options), help_option]


@click.command(
    "run",
    cls=_Run,
    epilog="Example: lab run labs/mnistlab.py -p epochs 5",
)
@click.argument("lab", metavar="LAB", shell_complete=_complete_lab)
@click.option(
    "-p",
    "--parameter",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Set a parameter of the lab; may be repeated.",
)
@click.option("--local", is_flag=True, help="Run it on this computer instead.")
@click.option("--resume", metavar="RUN", help="Go on from the last checkpoint of that run.")
@click.option("--detach", is_flag=True, help="Start it, and do not wait for its end.")
@click.option("--again", is_flag=True, help="Start it although the same run is going on already.")
@verbose_option
@alias_option
@click.pass_obj
def run_lab(
    context: Context,
    /,
    lab: str,
    parameters: tuple[tuple[str, str], ...],
    local: bool,
    resume: str | None,
    detach: bool,
    again: bool,
    verbose: bool,
    alias: str | None,
    **options: object,
) -> None:
    """Run all cells of a lab on the remote machine, and bring its results home.

    The run goes on when the connection is lost or this computer sleeps; `lab attach` follows it
    again. What runs is the code as it is there: `lab push` sends yours.

    With --slurm the machine is the login node of a cluster: the lab waits in Slurm's queue, then
    runs as a script (by torchrun) on the nodes and GPUs that [slurm] in lab.toml asks for.

    With --resume it goes on after the last complete epoch of a run that did not come to its end,
    with the same parameters: lab run labs/mnistlab.py -p epochs 50 --resume 14-05

    With --hosts or --nproc-per-node the lab runs as a script in several processes, on all GPUs of
    the machines named, and no notebook is kept of it. The code and the environment are brought to
    each of them first. Example: lab run labs/mnistlab.py --hosts gpu1,gpu2
    """
    from ..runs.launchers.launcher import Order

    order = Order(
        lab=lab,
        parameters=parameters,
        alias=alias,
        resume=resume,
        detach=detach,
        again=again,
        verbose=verbose,
        options=options,
    )
    if local:
        _refuse_with_local(order)
        from ..runs.running_here import run_here

        run_here(context, lab, parameters, verbose=verbose)
        return
    from ..runs.running import run as carry_out

    carry_out(context, order)


def _refuse_with_local(order: Order) -> None:
    """Raise UsageError for options that --local cannot have beside it."""
    from ..runs.launchers import given_options

    given = given_options({**order._asdict(), **order.options})
    for name in ("resume", "detach", "again", "alias", *order.options):
        if name in given:
            raise UsageError(f"--{name.replace('_', '-')} and --local cannot be combined.")


@click.command(
    epilog="Example: lab runs --all",
)
@click.option("--all", "show_all", is_flag=True, help="Show more than the last twenty.")
@click.option(
    "--remove",
    multiple=True,
    metavar="RUN",
    help="Remove a run and its results, here and on the machine; may be repeated.",
)
@yes_option
@alias_option
@click.pass_obj
def runs(
    context: Context, show_all: bool, remove: tuple[str, ...], yes: bool, alias: str | None
) -> None:
    """List the runs of labs on the remote machine, the latest last.

    With --remove, what would go is shown, and you are asked first.
    """
    if remove:
        from ..runs.removing import remove_runs

        remove_runs(context, remove, alias=alias, yes=yes)
        return
    from ..runs.listing import list_runs as carry_out

    carry_out(context, alias=alias, show_all=show_all)


@click.command(
    epilog="Example: lab attach, or a part of the time that names the run: lab attach 14-05",
)
@click.argument("run", required=False, metavar="[RUN]")
@verbose_option
@alias_option
@click.pass_obj
def attach(context: Context, run: str | None, verbose: bool, alias: str | None) -> None:
    """Follow a run to its end, and bring its results home.

    Without RUN, the newest that is going on, or else the newest.
    """
    from ..runs.running import attach as carry_out

    carry_out(context, run, alias=alias, verbose=verbose)


@click.command(epilog="Example: lab stop 14-05")
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "stop_all", is_flag=True, help="End every run that is going on.")
@click.option(
    "--forget",
    is_flag=True,
    help="Have a job count as over whose machine is gone or has another name now.",
)
@alias_option
@click.pass_obj
def stop(
    context: Context, run: str | None, stop_all: bool, forget: bool, alias: str | None
) -> None:
    """End a run, and all that it has started. Without RUN, the one that is going on."""
    from ..runs.running import stop_runs as carry_out

    carry_out(context, run, alias=alias, stop_all=stop_all, forget=forget)
