"""`lab run`, `lab runs`, `lab attach` and `lab stop`."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from ..context import Context
from .options import alias_option, verbose_option

__all__ = ["attach", "run_lab", "runs", "stop"]


def _complete_lab(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return the labs whose path begins like that, for a shell that completes it."""
    from ..runs.labs import known_labs

    return [CompletionItem(path) for path in known_labs() if path.startswith(begun)]


@click.command(
    "run",
    short_help="Run all cells of a lab on the remote machine, and bring its results home.",
    epilog="Example: lab run labs/mnistlab.py -p epochs 5",
)
@click.argument("lab_file", metavar="LAB", shell_complete=_complete_lab)
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
@click.option("--slurm", is_flag=True, help="Hand it to Slurm, as [slurm] in lab.toml says.")
@click.option("--resume", metavar="RUN", help="Go on from the last checkpoint of that run.")
@click.option("--detach", is_flag=True, help="Start it, and do not wait for its end.")
@click.option("--again", is_flag=True, help="Start it although the same run is going on already.")
@click.option("--hosts", metavar="A,B", help="Train on these machines together, by torchrun.")
@click.option(
    "--nproc-per-node",
    "processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes on each machine, by torchrun. [default with --hosts: one for each GPU, else 1]",
)
@click.option(
    "--max-restarts",
    type=click.IntRange(min=0),
    metavar="N",
    help="How often to go on from the last checkpoint when a process or machine was lost. "
    "[default: 3]",
)
@click.option("--network", metavar="CIDR", help="The network through which the hosts talk.")
@verbose_option
@alias_option
@click.pass_obj
def run_lab(
    context: Context,
    lab_file: str,
    parameters: tuple[tuple[str, str], ...],
    local: bool,
    slurm: bool,
    resume: str | None,
    detach: bool,
    again: bool,
    hosts: str | None,
    processes: int | None,
    max_restarts: int | None,
    network: str | None,
    verbose: bool,
    alias: str | None,
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
    several = hosts is not None or processes is not None
    if local and several:
        raise click.UsageError("--local runs in one process, without --hosts, --nproc-per-node.")
    if slurm and several:
        raise click.UsageError(
            "--slurm takes the number of nodes and processes from [slurm] in lab.toml, so there is "
            "no --hosts, --nproc-per-node beside it."
        )
    if hosts is not None and alias is not None:
        raise click.UsageError("--hosts names the machines, so there is no --alias beside it.")
    if not several and (max_restarts is not None or network is not None):
        raise click.UsageError("--max-restarts and --network belong to --hosts.")
    if several:
        from ..hosts.running import run_on_hosts

        run_on_hosts(
            lab_file,
            parameters,
            hosts=hosts,
            alias=alias,
            processes=processes,
            max_restarts=3 if max_restarts is None else max_restarts,
            network=network,
            resume=resume,
            detach=detach,
            again=again,
        )
        return
    if local:
        if slurm or resume is not None or detach or again or alias is not None:
            raise click.UsageError(
                "--local runs here and now, without --slurm, --resume, --detach, --again, --alias."
            )
        from ..runs.running_here import run_here

        run_here(lab_file, parameters, verbose=verbose)
        return
    from ..runs.running import run as carry_out

    carry_out(
        lab_file,
        parameters,
        alias=alias,
        slurm=slurm,
        resume=resume,
        detach=detach,
        again=again,
        verbose=verbose,
    )


@click.command(
    short_help="List the runs of labs on the remote machine, the latest last.",
    epilog="Example: lab runs --all",
)
@click.option("--all", "show_all", is_flag=True, help="Show more than the last twenty.")
@alias_option
@click.pass_obj
def runs(context: Context, show_all: bool, alias: str | None) -> None:
    """List the runs of labs on the remote machine, the latest last."""
    from ..runs.listing import list_runs as carry_out

    carry_out(alias=alias, show_all=show_all)


@click.command(
    short_help="Follow a run to its end, and bring its results home.",
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

    carry_out(run, alias=alias, verbose=verbose)


@click.command(
    short_help="End a run, and all that it has started.", epilog="Example: lab stop 14-05"
)
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "stop_all", is_flag=True, help="End every run that is going on.")
@alias_option
@click.pass_obj
def stop(context: Context, run: str | None, stop_all: bool, alias: str | None) -> None:
    """End a run, and all that it has started. Without RUN, the one that is going on."""
    from ..runs.listing import stop_runs as carry_out

    carry_out(run, alias=alias, stop_all=stop_all)
