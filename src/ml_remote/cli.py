"""The `lab` command: its options, and its commands below their headings.

What a command does is in the module that it imports when it runs: `lab --help` must not wait for
any of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from .commands.code import code
from .commands.completion import completion
from .commands.connect import connect, disconnect
from .commands.doctor import doctor
from .commands.environment import setup, up
from .commands.runs import attach, run_lab, runs, stop
from .commands.sessions import jupyter, tensorboard
from .commands.status import status
from .commands.transfer import pull, push
from .context import Context
from .project import Project, nearest_root, set_root
from .ui import console
from .ui.help import SectionedGroup
from .ui.reporting import run_reporting

__all__ = ["GUARDS", "lab", "main"]

# What lab.py and an installed `lab` set while they start the tool of a project. It has been
# started; a terminal that this command opens may start it again.
GUARDS = ("LAB_STARTED", "LAB_HANDED_OVER")


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print which lab this is, and end."""
    if wanted and not context.resilient_parsing:
        from .settings import FORMAT
        from .version import this_version

        console.say(f"lab {this_version()}, format {FORMAT}")
        context.exit()


@click.group(
    cls=SectionedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`lab` stands for `uv run lab.py`. Example: lab connect ada@gpu.example.com",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version of lab, its commit, and the project format that it knows.",
)
def lab() -> None:
    """Work on a remote machine from this repository."""


# What `lab --help` lists, in this order: by what people want to do.
lab.add_sections(
    {
        "Connect": (up, connect, disconnect, doctor, status),
        "Code": (push, pull),
        "Environment": (setup,),
        "Run": (run_lab, runs, attach, stop),
        "Interactive": (code, jupyter, tensorboard),
        "This computer": (completion,),
    }
)


def main(arguments: Sequence[str] | None = None, *, root: Path | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (it failed) or 2 (wrong usage).

    `root` is the project's folder; without it, the nearest one upwards with a `lab.toml`. Every
    error becomes a sentence, unless LAB_DEBUG=1 asks for the traceback.
    """
    for name in GUARDS:
        os.environ.pop(name, None)
    root = root or nearest_root()
    set_root(root)
    project = None if root is None else Project(root=root)
    context = Context(project=project, console=console.shared)
    return run_reporting(lab, arguments, name="lab", context=context)
