"""`lab run`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import click
from click.shell_completion import CompletionItem

from ..context import Context
from .options import alias_option, node_option, together, verbose_option

__all__ = ["run"]

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "What runs": ("parameters", "name", "variables", "env_file", "resume", "repeat", "from_commit",
                  "again", "tty"),
    "Where": ("alias", "node", "first_free", "gpus", "local", "slurm", "until_done", "hosts",
              "nproc_per_node", "max_restarts", "network"),
    "Many runs": ("sweep", "samples", "sample_seed", "optimize", "at_once",
                  "spread"),
    "Before and after": ("push", "push_dirty", "detach", "notify"),
}  # fmt: skip
_OTHERS = "Others"
_PARAMETER = ("-p", "--parameter")
_PAIR = re.compile(r"(?P<name>[^\W\d]\w*)=(?P<value>.*)", re.DOTALL)
_ATTACHED = re.compile(rf"(?:-p|--parameter=){_PAIR.pattern}", re.DOTALL)


def _complete_lab(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return the labs whose path begins like that, for a shell that completes it."""
    from ..runs.labs import known_labs

    found = context.find_object(Context)
    known = known_labs(found.project) if found is not None else []
    # A commit may bring any name, and bash puts it into the command line as it is, not quoted.
    return [CompletionItem(path) for path in known if path.startswith(begun) and _is_word(path)]


def _is_word(text: str) -> bool:
    """Return whether a text means itself in every shell."""
    return re.fullmatch(r"[\w./@+,-]+", text) is not None


class _Run(click.Command):
    """`lab run`: the options of every launcher, below headings, and a program behind `--`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all options, `--help` last."""
        from ..runs.launchers import LAUNCHERS
        from ..runs.sweeps.options import OPTIONS

        *own, help_option = super().get_params(ctx)
        of_launchers = (one for each in LAUNCHERS.values() for one in each.options)
        return [*own, *of_launchers, *OPTIONS, help_option]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what follows `--` for the program, whatever it looks like."""
        place = args.index("--") if "--" in args else len(args)
        rest = super().parse_args(ctx, _in_two_words(args[:place]))
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


def _in_two_words(args: Sequence[str]) -> list[str]:
    """Return words in which each `-p NAME=VALUE` is `-p NAME VALUE`, whatever is in VALUE."""
    words, left = [], list(args)
    while left:
        word = left.pop(0)
        attached = _ATTACHED.fullmatch(word)
        if attached is not None:
            words += ["-p", attached["name"], attached["value"]]
        elif word not in _PARAMETER or not left:
            words.append(word)
        elif (pair := _PAIR.fullmatch(left[0])) is not None:
            words += [word, pair["name"], pair["value"]]
            left.pop(0)
        else:  # the value may look like anything
            words += [word, *left[:2]]
            del left[:2]
    return words


_run_options = together(
    click.argument(
        "lab", required=False, metavar="LAB | -- COMMAND...", shell_complete=_complete_lab
    ),
    click.option(
        "-p",
        "--parameter",
        "parameters",
        nargs=2,
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a parameter of the lab, also as NAME VALUE; can be repeated.",
    ),
    click.option("--name", metavar="NAME", help="Name the results of a program: outputs/NAME/."),
    click.option(
        "--env",
        "variables",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Set a variable, which is recorded with the run. Without VALUE, pass your own as a "
        "secret.",
    ),
    click.option("--env-file", metavar="FILE", help="Set the variables in a file, all as secrets."),
    click.option("--tty", is_flag=True, help="Give the program a terminal, for progress bars."),
    click.option("--local", is_flag=True, help="Run it on this computer instead."),
    click.option(
        "--first-free", metavar="A,B", help="Use the first of these machines that has a free card."
    ),
    click.option(
        "--gpus",
        type=click.IntRange(min=0),
        metavar="N",
        help="Wait for N free cards and use only these; with --slurm, on each node.",
    ),
    click.option(
        "--resume",
        metavar="RUN",
        help="Continue from the last checkpoint of RUN; LAB is optional.",
    ),
    click.option(
        "--repeat", metavar="RUN", help="Repeat RUN, with other -p and --env if you like."
    ),
    click.option(
        "--from-commit",
        is_flag=True,
        help="With --repeat: use the code that RUN ran, not the current code.",
    ),
    click.option("--push", is_flag=True, help="Send your commits first."),
    click.option("--push-dirty", is_flag=True, help="Send your files first, as they are."),
    click.option("--detach", is_flag=True, help="Start it, and do not wait for it to end."),
    click.option("--notify", is_flag=True, help="Notify you when it has ended."),
    click.option(
        "--again", is_flag=True, help="Start it even if the same run is already in progress."
    ),
    verbose_option,
    alias_option,
    node_option,
)


@click.command(
    "run",
    cls=_Run,
    epilog="Example: lab run labs/LAB.py -p epochs=5, or: lab run -- python train.py",
)
@_run_options
@click.pass_context
def run(
    context: click.Context, /, lab: str | None, command: Sequence[str], **options: object
) -> None:
    """Run a lab or any program on the machine, and fetch its results.

    All cells of a lab are run. The run continues if the connection is lost or this computer sleeps;
    `lab attach` follows it again. It uses the code on the machine: --push sends yours first.

    A program runs in the project's folder on the machine, with the environment's programs first on
    PATH. Files in its LAB_OUTPUT_DIR are fetched, and so are new files in the [outputs] folders of
    lab.toml. `lab run` ends with the program's exit code (128 and more if a signal ended it), or
    with 125 if lab itself fails.

    With --gpus N it waits in line, behind other people's runs too, until N cards are free. It runs
    the code as it was when you asked, as with --detach and --slurm.

    With --slurm the machine is the login node of a cluster: the lab waits in Slurm's queue, then
    runs as a script (by torchrun) on the nodes and GPUs that [slurm] in lab.toml asks for. A
    program runs once, on the first node, where it can call `srun`.

    With --until-done as well, the run is requeued shortly before its time limit and continues from
    its last checkpoint, as often as needed.

    With --resume, an unfinished run continues after its last complete epoch, with the same
    parameters; with --repeat, a run starts again from the beginning: lab run --repeat 14-05 -p
    seed=2

    With --sweep it runs once for each combination of values; `lab runs SWEEP` shows all of them.
    A program finds the values in {NAME} and in variables. To continue an interrupted sweep:
    lab run --resume SWEEP

    With --optimize, Optuna proposes each set from the results of the others; the environment needs
    it: lab add optuna. Example: --sweep lr=log:1e-4..1e-1 --optimize min:loss --samples 40

    With --hosts or --nproc-per-node the lab runs as a script in several processes, on all GPUs of
    these machines, without a notebook. The code and the environment are first brought up to date on
    each of them. Example: lab run labs/LAB.py --hosts gpu1,gpu2
    """
    from ..run import run as carry_out

    own: Context = context.obj
    code = carry_out(own, lab, command, options)
    own.own_failure = None
    context.exit(code)
