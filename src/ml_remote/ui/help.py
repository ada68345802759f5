"""The commands of a group, below headings; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module
from types import MappingProxyType

import click

from ..errors import LabError

__all__ = ["SectionedGroup"]

Sections = Mapping[str, Mapping[str, tuple[str, str]]]
"""From each heading to the commands below it, by name: the module and the summary of each."""


class SectionedGroup(click.Group):
    """Commands listed under headings, in the order in which they were added."""

    sections: Sections = MappingProxyType({})

    def add_sections(self, sections: Sections, *, package: str) -> None:
        """Take the commands in that the modules of `package` have, below these headings."""
        self.sections = sections
        self.commands = _Commands(
            {
                name: _loader(name, f"{package}.{module}", summary)
                for commands in sections.values()
                for name, (module, summary) in commands.items()
            }
        )

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for; Ctrl-C ends it with a sentence."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            raise LabError("Interrupted. What was done before is kept.") from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, section by section."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of commands for each section, with the summaries in one column."""
        widest = max(map(len, self.commands))
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(widest), summary) for name, (_, summary) in commands.items()]
                )


class _Commands(MutableMapping[str, click.Command]):
    """Commands by name; looking one up imports it."""

    def __init__(self, loaders: Mapping[str, Callable[[], click.Command]]) -> None:
        self._loaders = dict(loaders)

    def __getitem__(self, name: str) -> click.Command:
        return self._loaders[name]()

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaders[name] = lambda: command

    def __delitem__(self, name: str) -> None:
        del self._loaders[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)


def _loader(name: str, module: str, summary: str) -> Callable[[], click.Command]:
    """Return what imports the command of that name from a module, and gives it its summary."""

    def load() -> click.Command:
        members = vars(import_module(module)).values()
        found = next(one for one in members if isinstance(one, click.Command) and one.name == name)
        found.short_help = summary
        return found

    return load
