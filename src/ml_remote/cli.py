"""The `lab` command: its options, and its commands below their headings.

A command's options are in a module of `commands/`, which is imported when the command is asked for;
what it does is in the module that this one imports when it runs. Nobody waits for the others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .programs import (
    keep_out_of_this_folder,
    keep_packages_apart,
    name_files_in_utf8,
    open_standard_streams,
)

keep_packages_apart()  # before anything of others is imported

import click  # noqa: E402

from .context import Context  # noqa: E402
from .exit_codes import own_failure  # noqa: E402
from .far.env.sessions import KINDS  # noqa: E402
from .project import Project, nearest_root  # noqa: E402
from .ui.console import Console  # noqa: E402
from .ui.help import SectionedGroup  # noqa: E402
from .ui.reporting import report_unforeseen, run_reporting  # noqa: E402

__all__ = ["HANDED_OVER", "lab", "main"]

HANDED_OVER = "LAB_HANDED_OVER"
"""What an installed `lab` sets when it starts the lab.py of a project, which must not start it."""


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print which lab this is, and end."""
    if wanted and not context.resilient_parsing:
        from .settings import FORMAT
        from .version import this_version

        context.obj.console.say(f"lab {this_version()}, format {FORMAT}")
        context.exit()


@click.group(
    cls=SectionedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`lab` is short for `uv run lab.py`. Example: lab connect ada@gpu.example.com",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version of lab, its commit, and the project format it supports.",
)
@click.option(
    "--accept-tool",
    is_flag=True,
    expose_value=False,
    help="Trust the tool that this project pins, the first time you run it.",
)
def lab() -> None:
    """Work on a remote machine from this repository."""


# What `lab --help` lists, in this order: by what people want to do. Each command has its module and
# its summary here, so that the list needs none of the modules.
lab.add_sections(
    {
        "Connect": {
            "up": (
                "environment",
                "Connect, send the code, make the environment and open VS Code.",
            ),
            "connect": (
                "connect",
                "Make `ssh ALIAS` log in without a password, also from VS Code.",
            ),
            "disconnect": ("connect", "Remove the SSH entry."),
            "doctor": ("doctor", "Check everything from here to the machine."),
            "status": (
                "status",
                "Show how busy the machine is, and what this project runs on it.",
            ),
        },
        "Code": {
            "new": ("new", "Create a lab that runs at once and can be pointed at your own data."),
            "push": ("transfer", "Send your commits to the machine."),
            "pull": ("transfer", "Fetch commits and outputs/ from the machine."),
            "data": ("data", "Copy data/, which git ignores, to and from the machine."),
        },
        "Environment": {
            "setup": ("environment", "Create or update the environment on the machine."),
            "add": ("packages", "Add packages to the project and install them on the machine."),
            "remove": (
                "packages",
                "Remove packages from the project and from the environment on the machine.",
            ),
            "lock": ("packages", "Write requirements.lock, the versions that everyone gets."),
        },
        "Run": {
            "run": (
                "run",
                "Run a lab or any program on the machine, and fetch its results.",
            ),
            "runs": ("runs", "List the runs on the machine, the latest last."),
            "show": ("show", "Show what a run did, and its results."),
            "attach": ("runs", "Follow a run to its end, and fetch its results."),
            "stop": ("runs", "Stop a run and every process it started."),
            "secret": ("secret", "Keep secrets on the machine, which runs get as variables."),
        },
        "Interactive": {
            "node": (
                "node",
                "Get a compute node of a cluster, for VS Code, JupyterLab and shells.",
            ),
            "code": ("code", "Open the project on the machine in VS Code."),
            **{name: ("sessions", summary) for name, summary in KINDS.items()},
            "shell": (
                "shell",
                "Open a shell in the project's folder on the machine, or run one command.",
            ),
            "forward": ("forward", "Forward ports of this computer to programs on the machine."),
        },
        "This computer": {
            "init": ("init", "Turn an existing git repository into a project of lab."),
            "completion": (
                "completion",
                "Add the command `lab` to your shell, with Tab completion.",
            ),
        },
    },
    package=f"{__package__}.commands",
)


def main(arguments: Sequence[str] | None = None, *, root: Path | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (it failed) or 2 (wrong usage).

    Where it is that of a program, lab's own failures have OWN_FAILURE.

    `root` is the project's folder; without it, the nearest one upwards with a `lab.toml`. Every
    error becomes a sentence; with LAB_DEBUG=1 its traceback comes before it.
    """
    name_files_in_utf8()
    open_standard_streams()
    keep_out_of_this_folder()
    # A terminal that this command opens may type `lab` again.
    handed_over = os.environ.pop(HANDED_OVER, None) is not None
    own = own_failure(sys.argv[1:] if arguments is None else arguments)
    try:
        root = root or nearest_root()
    except OSError as error:  # a folder above this one that cannot be looked into
        report_unforeseen(error, Console())
        return own or 1
    project = None if root is None else Project(root=root)
    context = Context(project=project)
    context.own_failure = own
    if not handed_over and _is_typed_with_uv():
        context.console.commands_of_script = list(lab.commands)
    code = run_reporting(lab, arguments, name="lab", context=context)
    return code and (context.own_failure or code)


def _is_typed_with_uv() -> bool:
    """Return whether a person typed `uv run lab.py`: to them, `lab` may be no command."""
    is_script = "UV" in os.environ and Path(sys.argv[0]).name == "lab.py"
    return is_script and sys.stderr is not None and sys.stderr.isatty()
