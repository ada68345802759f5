"""The `lab` command: its sub-commands, their options and help.

What a command does is in the module that it imports when it runs: `lab --help` must not wait for
any of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import click
from click.shell_completion import CompletionItem

from .errors import UsageError
from .settings import set_root
from .ui import console
from .ui.help import SectionedGroup
from .ui.reporting import run_reporting

__all__ = ["lab", "main"]


# What `lab --help` lists, in this order: by what people want to do.
_SECTIONS = {
    "Start": ("up", "connect", "setup"),
    "Move code and results": ("push", "pull"),
    "Work there yourself": ("code", "jupyter", "tensorboard"),
    "Run labs without watching": ("run", "runs", "attach", "stop"),
    "Look and mend": ("status", "doctor"),
    "This computer": ("completion", "disconnect"),
}


class _Lab(SectionedGroup):
    sections = _SECTIONS


@click.group(
    cls=_Lab,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`lab` stands for `uv run lab.py`. Example: lab connect ada@gpu.example.com",
)
def lab() -> None:
    """Work on a remote machine from this repository."""


def main(arguments: Sequence[str] | None = None, *, root: Path | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (it failed) or 2 (wrong usage).

    `root` is the project's folder; without it, the nearest one with a `lab.toml` upwards. Every
    error becomes a sentence, unless LAB_DEBUG=1 asks for the traceback.
    """
    set_root(root)
    return run_reporting(lab, arguments, name="lab")


_Command = Callable[..., None]
_alias_option: Callable[[_Command], _Command] = click.option(
    "--alias", metavar="NAME", help="Another name for the machine than the one in lab.toml."
)
_dry_run_option: Callable[[_Command], _Command] = click.option(
    "--dry-run", is_flag=True, help="Show what would be written, and write nothing."
)
_yes_option: Callable[[_Command], _Command] = click.option(
    "--yes", "-y", is_flag=True, help="Answer every question with yes."
)


@lab.command(
    short_help="Make `ssh ALIAS` work without a password, and in VS Code.",
    epilog="Example: lab connect ada@gpu.example.com:2222 --jump ada@gateway.example.com",
)
@click.argument("address", required=False, metavar="[USER@HOST[:PORT]]")
@_alias_option
@click.option("--jump", metavar="HOSTS", help="Jump hosts to go through, separated by commas.")
@click.option("--identity", metavar="PATH", help="The key to log in with.")
@click.option(
    "--key-type",
    type=click.Choice(["ed25519", "ecdsa-521"]),
    help="Make a new key of this type, unless one logs in already. [default: ed25519]",
)
@click.option(
    "--replace", "replace_other", is_flag=True, help="Let the alias mean another machine from now."
)
@click.option("--offline", is_flag=True, help="Only write the SSH entry; contact nothing.")
@_dry_run_option
@_yes_option
def connect(
    address: str | None,
    alias: str | None,
    jump: str | None,
    identity: str | None,
    key_type: str | None,
    replace_other: bool,
    offline: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Make `ssh ALIAS` work without a password, and in VS Code.

    Writes the SSH entry, shows the machine's host key, makes or finds a key, copies it to the
    machine (your password there is asked once) and proves that the login works. Run again, it
    changes nothing. Without an address it prints a line to paste into a terminal on the other
    machine, which answers with the address.
    """
    from .login.connecting import connect as carry_out

    carry_out(
        address,
        alias=alias,
        jump=jump,
        identity=identity,
        key_type=key_type,
        replace_other=replace_other,
        offline=offline,
        dry_run=dry_run,
        yes=yes,
    )


@lab.command(
    short_help="Take the SSH entry away again.", epilog="Example: lab disconnect --remove-key"
)
@_alias_option
@click.option("--remove-key", is_flag=True, help="Delete the key that was made for it, too.")
@_dry_run_option
@_yes_option
def disconnect(alias: str | None, remove_key: bool, dry_run: bool, yes: bool) -> None:
    """Take the SSH entry away again.

    Your own configuration is then, byte for byte, what it would be without it.
    """
    from .login.disconnecting import disconnect as carry_out

    carry_out(alias=alias, remove_key=remove_key, dry_run=dry_run, yes=yes)


@lab.command(
    short_help="Check everything from here to the machine.",
    epilog="Example: lab doctor --copy > report.txt",
)
@_alias_option
@click.option("--copy", is_flag=True, help="Leave out names, addresses and paths, to pass it on.")
def doctor(alias: str | None, copy: bool) -> None:
    """Check everything from here to the machine.

    Each check that fails names the command that mends it; the exit code is then 1.
    """
    from .doctor.report import doctor as carry_out

    if not carry_out(alias=alias, copy=copy):
        sys.exit(1)


@lab.command(
    short_help="Do all that is needed to work there: connect, push, setup, code.",
    epilog="Example: lab up --no-code",
)
@_alias_option
@click.option("--no-code", is_flag=True, help="Do not open VS Code.")
@_yes_option
def up(alias: str | None, no_code: bool, yes: bool) -> None:
    """Do all that is needed to work there: connect, push, setup, code.

    Each step does only what is left to do. VS Code opens while the environment is still being made.
    """
    from .up import up as carry_out

    carry_out(alias=alias, code=not no_code, yes=yes)


@lab.command(short_help="Send your commits to the machine.", epilog="Example: lab push --dirty")
@_alias_option
@click.option("--dirty", is_flag=True, help="Send what is not committed, too, as it stands.")
def push(alias: str | None, dirty: bool) -> None:
    """Send your commits to the machine.

    They go by git into the project's folder there, which is made where it is missing, and are
    checked out. Work there that is not committed is never overwritten.
    """
    from .transfer.pushing import push as carry_out

    carry_out(alias=alias, dirty=dirty)


@lab.command(
    short_help="Bring commits and outputs/ back from the machine.",
    epilog="Example: lab pull --overwrite",
)
@_alias_option
@click.option("--overwrite", is_flag=True, help="Replace files in outputs/ that differ here.")
def pull(alias: str | None, overwrite: bool) -> None:
    """Bring commits and outputs/ back from the machine.

    Only what is new comes; a transfer that was cut goes on where it stopped. A file of yours in
    outputs/ that differs is kept.
    """
    from .transfer.pulling import pull as carry_out

    carry_out(alias=alias, overwrite=overwrite)


@lab.command(
    short_help="Make the project's environment on the machine.",
    epilog="Example: lab setup --local",
)
@_alias_option
@click.option("--local", is_flag=True, help="Make it on this computer.")
def setup(alias: str | None, local: bool) -> None:
    """Make the project's environment on the machine.

    What is there already is brought up to date.
    It goes on there when the connection is lost; running this again shows it again.
    """
    from .environment import setup as carry_out

    carry_out(alias=alias, local=local)


def _complete_lab(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return the labs whose path begins like that, for a shell that completes it."""
    from .runs.labs import known_labs

    return [CompletionItem(path) for path in known_labs() if path.startswith(begun)]


_verbose_option: Callable[[_Command], _Command] = click.option(
    "--verbose", "-v", is_flag=True, help="Show everything that the cells print, as it comes."
)


@lab.command(
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
@_verbose_option
@_alias_option
def run_lab(
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
        from .hosts.running import run_on_hosts

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
        from .runs.running_here import run_here

        run_here(lab_file, parameters, verbose=verbose)
        return
    from .runs.running import run as carry_out

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


@lab.command(
    short_help="List the runs of labs on the remote machine, the latest last.",
    epilog="Example: lab runs --all",
)
@click.option("--all", "show_all", is_flag=True, help="Show more than the last twenty.")
@_alias_option
def runs(show_all: bool, alias: str | None) -> None:
    """List the runs of labs on the remote machine, the latest last."""
    from .runs.listing import list_runs as carry_out

    carry_out(alias=alias, show_all=show_all)


@lab.command(
    short_help="Follow a run to its end, and bring its results home.",
    epilog="Example: lab attach, or a part of the time that names the run: lab attach 14-05",
)
@click.argument("run", required=False, metavar="[RUN]")
@_verbose_option
@_alias_option
def attach(run: str | None, verbose: bool, alias: str | None) -> None:
    """Follow a run to its end, and bring its results home.

    Without RUN, the newest that is going on, or else the newest.
    """
    from .runs.running import attach as carry_out

    carry_out(run, alias=alias, verbose=verbose)


@lab.command(short_help="End a run, and all that it has started.", epilog="Example: lab stop 14-05")
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "stop_all", is_flag=True, help="End every run that is going on.")
@_alias_option
def stop(run: str | None, stop_all: bool, alias: str | None) -> None:
    """End a run, and all that it has started. Without RUN, the one that is going on."""
    from .runs.listing import stop_runs as carry_out

    carry_out(run, alias=alias, stop_all=stop_all)


@lab.command(
    short_help="Show how busy the machine is, and what of this project runs there.",
    epilog="Example: lab status",
)
@_alias_option
def status(alias: str | None) -> None:
    """Show how busy the machine is, and what of this project runs there.

    Its GPUs and who uses them, its load, memory and disk, and the runs and sessions that go on.
    """
    from .status import status as carry_out

    carry_out(alias=alias)


@lab.command(
    short_help="Open the project on the machine in VS Code.",
    epilog="Example: lab code",
)
@_alias_option
def code(alias: str | None) -> None:
    """Open the project on the machine in VS Code.

    Writes ALIAS.code-workspace, which opens the folder there directly, installs the recommended
    extensions where it can, and starts the first of code, code-insiders, codium and cursor, or what
    LAB_EDITOR names. Without an editor here it prints the link that opens the folder.
    """
    from .editor.code import code as carry_out

    carry_out(alias=alias)


_list_option: Callable[[_Command], _Command] = click.option(
    "--list", "only_list", is_flag=True, help="Show the sessions there, and open nothing."
)
_stop_option: Callable[[_Command], _Command] = click.option(
    "--stop", is_flag=True, help="End the session, with everything that runs in it."
)
_no_browser_option: Callable[[_Command], _Command] = click.option(
    "--no-browser", is_flag=True, help="Only say which page to open."
)


@lab.command(
    short_help="JupyterLab on the machine, in the browser here.",
    epilog="Example: lab jupyter --stop",
)
@_alias_option
@_list_option
@_stop_option
@_no_browser_option
def jupyter(alias: str | None, only_list: bool, stop: bool, no_browser: bool) -> None:
    """JupyterLab on the machine, in the browser here.

    Notebooks and what they compute stay when the tunnel is closed, the laptop sleeps or the network
    is lost; the same command reaches them again. Labs open as notebooks. A session that nobody uses
    ends after idle_hours in lab.toml.
    """
    _session("jupyter", alias=alias, only_list=only_list, stop=stop, no_browser=no_browser)


@lab.command(
    short_help="TensorBoard on the machine, in the browser here.",
    epilog="Example: lab tensorboard --no-browser",
)
@_alias_option
@_list_option
@_stop_option
@_no_browser_option
def tensorboard(alias: str | None, only_list: bool, stop: bool, no_browser: bool) -> None:
    """TensorBoard on the machine, in the browser here.

    It shows the curves of every run in outputs/, while they grow.
    It is as private as `lab jupyter` and reconnects like it.
    """
    _session("tensorboard", alias=alias, only_list=only_list, stop=stop, no_browser=no_browser)


def _session(
    kind: Literal["jupyter", "tensorboard"],
    *,
    alias: str | None,
    only_list: bool,
    stop: bool,
    no_browser: bool,
) -> None:
    """Do what the options of `lab jupyter` and `lab tensorboard` ask for."""
    from .sessions.session import list_sessions, open_session, stop_sessions

    if only_list and stop:
        raise UsageError("--list and --stop cannot be had together.", hint="Use one of the two")
    if only_list:
        list_sessions(kind, alias=alias)
    elif stop:
        stop_sessions(kind, alias=alias)
    else:
        open_session(kind, alias=alias, open_browser=not no_browser)


@lab.command(
    short_help="Make `lab` a word of your shell, completed by the Tab key.",
    epilog="Example: lab completion fish > ~/.config/fish/conf.d/lab.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Make `lab` a word of your shell, completed by the Tab key.

    Prints what the shell has to read: a function `lab`, which runs the lab.py of the project that
    you are in, and the completion of its commands, options and labs. Once is enough for all your
    projects. Keep it in a file that the shell reads when it starts:

    \b
      uv run lab.py completion bash > ~/.lab.bash && echo "source ~/.lab.bash" >> ~/.bashrc
      uv run lab.py completion zsh > ~/.lab.zsh && echo "source ~/.lab.zsh" >> ~/.zshrc
      uv run lab.py completion fish > ~/.config/fish/conf.d/lab.fish

    It holds in every terminal that is opened from then on. Tab asks nothing over the network, so
    the names of runs are not completed: only the machine knows them.
    """
    from .ui.completion import completion_script

    console.say(completion_script(lab, shell))
