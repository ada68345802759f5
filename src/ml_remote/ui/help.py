"""How the list of commands in `lab --help` is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

__all__ = ["SectionedGroup"]


class SectionedGroup(click.Group):
    """Commands listed under headings, in the order in which they were added."""

    sections: Mapping[str, Sequence[click.Command]] = MappingProxyType({})
    """From each heading to the commands below it."""

    def add_sections(self, sections: Mapping[str, Sequence[click.Command]]) -> None:
        """Take these commands in, below these headings."""
        self.sections = sections
        for command in (one for commands in sections.values() for one in commands):
            self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, section by section."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of commands for each section, with the summaries in one column."""
        widest = max(map(len, self.commands))
        room = formatter.width - widest - 6  # what click leaves for the spaces around the columns
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (str(command.name).ljust(widest), command.get_short_help_str(room))
                        for command in commands
                    ]
                )
