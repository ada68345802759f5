"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable

import click

from ..errors import OWN_FAILURE

__all__ = [
    "OfProgram",
    "alias_option",
    "dry_run_option",
    "json_option",
    "verbose_option",
    "yes_option",
]

_Command = Callable[..., None]
_Option = Callable[[_Command], _Command]


class _WrongOptionError(click.UsageError):
    """A wrong option of a command whose other exit codes are those of a program."""

    exit_code = OWN_FAILURE


class OfProgram(click.Command):
    """A command that ends with the exit code of the program behind `--`, if there is one."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """Read the options; where a program is to run, a wrong one has lab's own exit code."""
        has_program = "--" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if not has_program:
                raise
            raise _WrongOptionError(error.format_message(), error.ctx) from None


alias_option: _Option = click.option(
    "--alias", metavar="NAME", help="Another name for the machine than the one in lab.toml."
)
dry_run_option: _Option = click.option(
    "--dry-run", is_flag=True, help="Show what would be written, and write nothing."
)
yes_option: _Option = click.option(
    "--yes", "-y", is_flag=True, help="Answer every question with yes."
)
verbose_option: _Option = click.option(
    "--verbose", "-v", is_flag=True, help="Show everything that the cells print, as it comes."
)
json_option: _Option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object and nothing else; docs/contract.md lists its keys.",
)
