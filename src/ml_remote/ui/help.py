"""How the list of commands in `lab --help` is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import click

__all__ = ["SectionedGroup"]


class SectionedGroup(click.Group):
    """Commands listed under headings; a subclass says which, and in which order."""

    sections: ClassVar[Mapping[str, Sequence[str]]]
    """From each heading to the names of the commands below it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, section by section."""
        return [name for names in self.sections.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of commands for each section, with the summaries in one column."""
        widest = max(map(len, self.commands))
        room = formatter.width - widest - 6  # what click leaves for the spaces around the columns
        for heading, names in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (name.ljust(widest), self.commands[name].get_short_help_str(room))
                        for name in names
                    ]
                )
