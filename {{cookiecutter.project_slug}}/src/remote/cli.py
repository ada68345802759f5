"""The `lab` command: its sub-commands, their options and help.

What a command does is in the module that it imports when it runs: `lab --help` must not wait for
any of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import click

from .errors import LabError, UnsafeEditError

__all__ = ["lab", "run"]


class _Group(click.Group):
    """Lists the commands in the order in which they are used, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`lab` stands for `uv run lab.py`. Example: lab connect ada@gpu.example.com",
)
def lab() -> None:
    """Work on a remote machine from this repository."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (it failed) or 2 (wrong usage).

    Every error becomes a sentence, unless LAB_DEBUG=1 asks for the traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show must not end the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    debugging = os.environ.get("LAB_DEBUG") == "1"
    try:
        lab.main(args=arguments, prog_name="lab", color=_colour())
    except LabError as error:
        if debugging:
            raise
        _report(error)
        return error.exit_code
    except Exception as error:
        if debugging:
            raise
        click.echo(
            f"Error: something happened that lab did not expect: {_in_words(error)}\n"
            "Next: run it again with LAB_DEBUG=1 in the environment, and report what it prints.",
            err=True,
        )
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _colour() -> bool | None:
    """Return False when colours are unwanted (https://no-color.org), else let click decide."""
    return False if os.environ.get("NO_COLOR") else None


def _report(error: LabError) -> None:
    """Say what went wrong and what to do, on standard error."""
    click.echo(f"{click.style('Error:', fg='red')} {error}", err=True, color=_colour())
    if isinstance(error, UnsafeEditError):
        click.echo(error.instructions, err=True)
    if error.hint:
        click.echo(f"{click.style('Next:', bold=True)} {error.hint}", err=True, color=_colour())


def _in_words(error: Exception) -> str:
    """Return an unforeseen error in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


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
    from .connecting import connect as carry_out

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
    from .disconnecting import disconnect as carry_out

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
    from .doctor import doctor as carry_out

    if not carry_out(alias=alias, copy=copy):
        sys.exit(1)


@lab.command(
    short_help="Open the project on the machine in VS Code.",
    epilog="Example: LAB_EDITOR=codium lab code",
)
@_alias_option
def code(alias: str | None) -> None:
    """Open the project on the machine in VS Code.

    Writes ALIAS.code-workspace, which opens the folder there directly, installs the recommended
    extensions where it can, and starts the first of code, code-insiders, codium and cursor, or what
    LAB_EDITOR names. Without an editor here it prints the link that opens the folder.
    """
    from .code import code as carry_out

    carry_out(alias=alias)
