"""`lab jupyter`, `lab tensorboard`: a command for each kind of session, made from their table."""

from __future__ import annotations

import click

from ..context import Context
from ..errors import UsageError
from ..far.env.sessions import KINDS, find_kind
from .options import alias_option, node_option


def _command(name: str) -> click.Command:
    """Return the command that opens a session of this kind."""
    kind = find_kind(name)

    @click.command(
        name,
        help=f"{KINDS[name]}\n\n{kind.description}",
        epilog=f"Example: lab {name} --stop",
    )
    @alias_option
    @node_option
    @click.option(
        "--list",
        "only_list",
        is_flag=True,
        help="List the sessions on the machine, and open nothing.",
    )
    @click.option("--stop", is_flag=True, help="End the session, with everything that runs in it.")
    @click.option(
        "--no-browser", is_flag=True, help="Print the address instead of opening a browser."
    )
    @click.pass_obj
    def command(
        context: Context, alias: str | None, only_list: bool, stop: bool, no_browser: bool
    ) -> None:
        from ..sessions.session import Sessions

        if only_list and stop:
            raise UsageError(
                "`--list` and `--stop` cannot be combined.", hint="Use only one of them"
            )
        sessions = Sessions.of(context, name, alias=alias)
        if only_list:
            sessions.show()
        elif stop:
            sessions.stop()
        else:
            sessions.open(open_browser=not no_browser)

    return command


# The group of all commands finds them as members of this module.
globals().update({name: _command(name) for name in KINDS})
