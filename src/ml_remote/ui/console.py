"""What the `lab` command prints and asks."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import click

from ..errors import UsageError
from .text import log_text, shown, without_colours

__all__ = ["Console", "colour", "is_dumb"]


# What takes --alias, unless it is named already or means this computer.
_COMMAND = (
    r"\blab (?:up|connect|disconnect|doctor|status|node|push|pull|setup|add|remove|lock|runs?|"
    r"attach|show|stop|code|jupyter|tensorboard|shell|forward|secret (?:set|list|remove)|"
    r"data (?:push|pull|status))\b"
    r"(?![^;,\n]*? --(?:alias|local|hosts)\b)"
)


class Console:
    """The output and questions of one call of `lab`.

    Whatever it is given is text of others for it: what cannot be printed is shown as an escape.
    Only its own labels have colours, and what a run has printed (`log`).
    """

    def __init__(self) -> None:
        self._is_part_of_more = False
        self._is_updated = False  # whether a line is shown that is to be replaced
        self.alias: str | None = None
        """Another machine than the one of `lab.toml`: commands that are proposed name it, too."""
        self.login_node: str | None = None
        """The login node, where that machine is a compute node of it; empty: that of `lab.toml`."""
        self.commands_of_script: Collection[str] = ()
        """The commands that are shown as they are typed: `uv run lab.py NAME`, not `lab NAME`."""

    def say(self, text: str, *, label: str = "", fg: str | None = None) -> None:
        """Print what was done, after `label` in the colour `fg`."""
        _write(_styled(label, fg=fg) + shown(self._as_typed(text)))

    def output(self, text: str) -> None:
        """Print a text for another program to read: no command in it is changed."""
        _write(shown(text))

    def remedy(self, text: str, *, label: str = "", fg: str | None = None) -> None:
        """Print a line that proposes a command, about the machine that was named."""
        _write(_styled(label, fg=fg) + shown(self._for_this_machine(text)))

    def next_step(self, command: str, *, with_uv: bool = False) -> None:
        """Print what to run next; always the last line of a command.

        `with_uv` is for a project in which nobody may have the word `lab` yet.
        """
        if with_uv:
            command = re.sub(r"(^|; then: )lab (?=\w)", r"\1uv run lab.py ", command)
        if not self._is_part_of_more:
            _write(_styled("Next: ", bold=True) + shown(self._for_this_machine(command)))

    @property
    def is_part_of_more(self) -> bool:
        """Whether what comes next is done without being asked, so that nothing is proposed."""
        return self._is_part_of_more

    @contextmanager
    def part_of_more(self) -> Iterator[None]:
        """Leave out what next_step() would say: what comes next is done without being asked."""
        before, self._is_part_of_more = self._is_part_of_more, True
        try:
            yield
        finally:
            self._is_part_of_more = before

    def json(self, document: Mapping[str, object]) -> None:
        """Print what `--json` asks for: one object, the only thing on standard output.

        It begins with the format of the contract under which its keys keep their meaning. All that
        is not ASCII is escaped, so that text from the machine cannot control a terminal.
        """
        import json

        from ..settings import FORMAT

        click.echo(json.dumps({"format": FORMAT, **document}, indent=2))

    def note(self, text: str) -> None:
        """Print a note about work in progress, on standard error: stdout is for results only."""
        _write(shown(self._as_typed(text)), err=True)

    def log(self, line: str) -> None:
        """Pass on a line that a run has printed, with its colours, on standard error."""
        self._end_update()
        _write(log_text(line), err=True)

    def update(self, line: str) -> None:
        """Show a line in the place of the one before, as progress bars do; only on a terminal."""
        if line.strip() and sys.stderr.isatty() and not is_dumb():
            self._end_update()
            width = shutil.get_terminal_size().columns - 1
            click.echo(log_text(without_colours(line))[:width], err=True, nl=False)
            self._is_updated = True

    def ring(self) -> None:
        """Ring the terminal's bell, if there is one."""
        if sys.stderr.isatty():
            click.echo("\a", err=True, nl=False)

    def _end_update(self) -> None:
        """Take away the line that is to be replaced."""
        if self._is_updated:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._is_updated = False

    def warn(self, text: str) -> None:
        """Print a warning; the command continues."""
        _write(_styled("Warning: ", fg="yellow") + shown(self._for_this_machine(text)), err=True)

    def error(self, text: str, *, hint: str | None = None) -> None:
        """Print what went wrong, and what to do about it; lines below the first are advice, too."""
        what, *advice = text.split("\n")
        text = "\n".join([what, *map(self._for_this_machine, advice)])
        _write(f"{_styled('Error:', fg='red')} {shown(text)}", err=True)
        if hint:
            step = shown(self._for_this_machine(hint))
            _write(f"{_styled('Next:', bold=True)} {step}", err=True)

    def _for_this_machine(self, text: str) -> str:
        """Return a text in which each command of lab is about the machine that was named.

        It also begins as the person begins it.
        """
        if self.alias is not None:
            text = re.sub(_COMMAND, self._with_alias, text)
        return self._as_typed(text)

    def _as_typed(self, text: str) -> str:
        """Return a text in which each command of lab begins as the person begins it."""
        return _as_script(text, self.commands_of_script) if self.commands_of_script else text

    def _with_alias(self, found: re.Match[str]) -> str:
        """Return a command of lab with the machine that it is about."""
        alias = self.alias
        if found[0] == "lab node" and self.login_node is not None:
            alias = self.login_node
        return f"{found[0]} --alias {alias}" if alias else found[0]

    def diff(self, text: str) -> None:
        """Show a unified diff, coloured on a terminal."""
        colours = {"+": "green", "-": "red", "@": "cyan"}
        for line in text.removesuffix("\n").split("\n") if text else ():
            _write(_styled(shown(line.removesuffix("\r")), fg=colours.get(line[:1])))

    def has_terminal(self) -> bool:
        """Return whether somebody can be asked."""
        return sys.stdin is not None and sys.stdin.isatty()

    def confirm(self, question: str, *, yes: bool, default: bool = True) -> bool:
        """Ask a yes/no question; `yes` answers it beforehand.

        Raises UsageError when nobody can be asked.
        """
        if yes:
            return True
        if not self.has_terminal():
            raise UsageError(
                f"{question} There is no terminal to answer in.",
                hint="To answer yes in advance, add --yes",
            )
        return click.confirm(shown(question), default=default, err=True)

    def ask(self, question: str, *, default: str | None = None) -> str:
        """Ask for one line of text; only where has_terminal(). Enter alone means the default."""
        answer: str = click.prompt(shown(question), default=default, err=True)
        return answer.strip()

    def ask_for_ssh(self, question: str) -> str:
        """Ask what ssh asks; the answer may be empty, and is not shown.

        Raises KeyboardInterrupt, also where the terminal is closed.
        """
        return self._prompt(question, hide_input=True)

    def wait_for_enter(self, text: str) -> None:
        """Wait until the person is back, and presses Enter. Raises KeyboardInterrupt."""
        self._prompt(f"{text} ", hide_input=False)

    def _prompt(self, text: str, *, hide_input: bool) -> str:
        try:
            given: str = click.prompt(
                shown(text),
                default="",
                show_default=False,
                prompt_suffix="",
                hide_input=hide_input,
                err=True,
            )
        except click.Abort:
            raise KeyboardInterrupt from None
        return given

    def ask_hidden(self, question: str) -> str:
        """Ask for a text that is not shown as it is typed; only where has_terminal()."""
        answer: str = click.prompt(shown(question), hide_input=True, err=True)
        return answer


def _as_script(text: str, commands: Collection[str]) -> str:
    """Return a text with `uv run lab.py` in each of these commands, but in no quoted value."""
    quoted = r"(?<!\w)'[^'\n]*'"
    command = rf"(?<![\w./-])lab (?=(?:{'|'.join(commands)})\b|--)"
    return re.sub(
        f"{quoted}|{command}",
        lambda found: found[0] if found[0].startswith("'") else "uv run lab.py ",
        text,
    )


def _write(text: str, *, err: bool = False) -> None:
    click.echo(text, err=err, color=colour())


def _styled(text: str, *, fg: str | None = None, bold: bool | None = None) -> str:
    return click.style(text, fg=fg, bold=bold) if text else ""


def colour() -> bool | None:
    """Return False when colours are unwanted, else None: click then looks for a terminal.

    Unwanted they are under NO_COLOR (https://no-color.org), and on a terminal that is `dumb`.
    """
    return False if os.environ.get("NO_COLOR") or is_dumb() else None


def is_dumb() -> bool:
    """Return whether the terminal can do no more than print one line after the other."""
    return os.environ.get("TERM") == "dumb"
