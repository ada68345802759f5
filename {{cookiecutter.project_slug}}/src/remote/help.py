"""How the list of commands in `lab --help` is laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

__all__ = ["SectionedGroup"]


class SectionedGroup(click.Group):
    """Commands listed under headings, in the order given: `sections` maps a heading to names."""

    def __init__(self, *, sections: Mapping[str, Sequence[str]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.sections = sections

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
