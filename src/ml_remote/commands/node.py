"""`lab node`."""

from __future__ import annotations

import click

from ..context import Context
from ..errors import UsageError
from .options import alias_option, json_option, together, yes_option

__all__ = ["node"]


_node_options = together(
    click.option(
        "--time", "time_limit", metavar="TIME", help='Time limit: "30" (minutes) or "04:00:00".'
    ),
    click.option("--gpus", type=click.IntRange(min=0), metavar="N", help="Number of GPUs."),
    click.option("--partition", metavar="NAME", help="The partition of the cluster."),
    click.option(
        "--name", metavar="NAME", help="Name the node ALIAS-NAME, to use several at once."
    ),
    click.option("--list", "only_list", is_flag=True, help="List the nodes, and request none."),
    click.option("--stop", is_flag=True, help="End the job, or remove it from the queue."),
)


@click.command(epilog="Example: lab node --time 04:00:00 --gpus 1")
@_node_options
@json_option
@alias_option
@yes_option
@click.pass_obj
def node(
    context: Context,
    time_limit: str | None,
    gpus: int | None,
    partition: str | None,
    name: str | None,
    only_list: bool,
    stop: bool,
    as_json: bool,
    alias: str | None,
    yes: bool,
) -> None:
    """Get a compute node of a cluster, for VS Code, JupyterLab and shells.

    Submits a job to Slurm or finds the existing one, shows its place in the queue, and returns when
    `ssh ALIAS-node` leads to the node. Then `lab code --node`, `lab shell --node` and others work
    there. The job ends when nobody has used it for idle_minutes; programs that you started on the
    node run until then. [slurm.node] in lab.toml has the defaults.
    """
    wishes = (time_limit, gpus, partition)
    if only_list and stop:
        raise UsageError("`--list` and `--stop` cannot be combined.", hint="Use only one of them")
    if (only_list or stop) and wishes != (None, None, None):
        raise UsageError(
            "`--time`, `--gpus` and `--partition` are for a new node.",
            hint="Run it without them, or without --list and --stop",
        )
    if as_json and not only_list:
        raise UsageError("`--json` can only be used with `--list`.", hint="lab node --list --json")
    if only_list and name is not None:
        raise UsageError("`--list` shows all nodes.", hint="Run it without --name")
    if only_list:
        from ..nodes.showing import show_nodes

        show_nodes(context, alias=alias, as_json=as_json)
        return
    if stop:
        from ..nodes.showing import stop_node

        stop_node(context, alias=alias, name=name)
        return
    from ..nodes.starting import start_node

    start_node(
        context,
        alias=alias,
        name=name,
        time_limit=time_limit,
        gpus=gpus,
        partition=partition,
        yes=yes,
    )
