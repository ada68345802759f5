"""`lab run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
from click.shell_completion import CompletionItem

from ..context import Context
from .options import alias_option, verbose_option

__all__ = ["run"]

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "What runs": ("parameters", "name", "variables", "env_file", "resume", "again", "tty"),
    "Where": ("alias", "first_free", "local", "slurm", "hosts", "nproc_per_node", "max_restarts",
              "network"),
    "Before and after": ("push", "push_dirty", "detach", "notify"),
}  # fmt: skip
_OTHERS = "Others"


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
    """`lab run`: the options of every launcher, below headings, and a program behind `--`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all options, `--help` last."""
        from ..runs.launchers import LAUNCHERS

        *own, help_option = super().get_params(ctx)
        return [*own, *(one for each in LAUNCHERS.values() for one in each.options), help_option]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what stands behind `--` for the program, whatever it looks like."""
        place = args.index("--") if "--" in args else len(args)
        rest = super().parse_args(ctx, args[:place])
        ctx.params["command"] = tuple(args[place + 1 :])
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options below their headings."""
        lines: dict[str, list[tuple[str, str]]] = {name: [] for name in (*_HEADINGS, _OTHERS)}
        for parameter in self.get_params(ctx):
            if not isinstance(parameter, click.Option):
                continue  # from click 8.5 on, arguments have a line, too
            line = parameter.get_help_record(ctx)
            found = [name for name, names in _HEADINGS.items() if parameter.name in names]
            if line is not None:
                lines[(*found, _OTHERS)[0]].append(line)
        for heading, records in lines.items():
            with formatter.section(heading):
                formatter.write_dl(records)


@click.command(
    "run",
    cls=_Run,
    epilog="Example: lab run labs/mnistlab.py -p epochs 5, or: lab run -- python train.py",
)
@click.argument("lab", required=False, metavar="LAB | -- COMMAND...", shell_complete=_complete_lab)
@click.option(
    "-p",
    "--parameter",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Set a parameter of the lab; may be repeated.",
)
@click.option("--name", metavar="NAME", help="Name the results of a program: outputs/NAME/.")
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Set a variable, which is kept with the run. Without VALUE, pass on yours as a secret.",
)
@click.option("--env-file", metavar="FILE", help="Set the variables of a file, all as secrets.")
@click.option("--tty", is_flag=True, help="Let a program print to a terminal: for progress bars.")
@click.option("--local", is_flag=True, help="Run it on this computer instead.")
@click.option(
    "--first-free", metavar="A,B", help="Take the first of these machines that has a free card."
)
@click.option("--resume", metavar="RUN", help="Go on from the last checkpoint of that run.")
@click.option("--push", is_flag=True, help="Send your commits first.")
@click.option("--push-dirty", is_flag=True, help="Send your files as they are first.")
@click.option("--detach", is_flag=True, help="Start it, and do not wait for its end.")
@click.option("--notify", is_flag=True, help="Tell you when it has ended.")
@click.option("--again", is_flag=True, help="Start it although the same run is going on already.")
@verbose_option
@alias_option
@click.pass_context
def run(
    context: click.Context, /, lab: str | None, command: Sequence[str], **options: object
) -> None:
    """Run a lab or any program on the remote machine, and bring its results home.

    Of a lab all cells run. The run goes on when the connection is lost or this computer sleeps;
    `lab attach` follows it again. What runs is the code as it is there: --push sends yours.

    A program runs in the project's folder there, with the environment's programs first on PATH.
    What it writes into the folder LAB_OUTPUT_DIR comes home, and so does what is new in [outputs]
    folders of lab.toml. `lab run` ends with its exit code, 128 and more where a signal ended it,
    and with 125 where lab itself fails.

    With --slurm the machine is the login node of a cluster: the lab waits in Slurm's queue, then
    runs as a script (by torchrun) on the nodes and GPUs that [slurm] in lab.toml asks for. A
    program runs once, on the first of the nodes, where `srun` is at hand.

    With --resume it goes on after the last complete epoch of a run that did not come to its end,
    with the same parameters: lab run labs/mnistlab.py -p epochs 50 --resume 14-05

    With --hosts or --nproc-per-node the lab runs as a script in several processes, on all GPUs of
    the machines named, and no notebook is kept of it. The code and the environment are brought to
    each of them first. Example: lab run labs/mnistlab.py --hosts gpu1,gpu2
    """
    from ..run import carry_out

    own: Context = context.obj
    code = carry_out(own, lab, command, options)
    own.own_failure = None
    context.exit(code)
