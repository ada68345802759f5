"""`lab jupyter` and `lab tensorboard`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import click

from ..context import Context
from ..errors import UsageError
from .options import alias_option

__all__ = ["jupyter", "tensorboard"]

_Command = Callable[..., None]
_list_option: Callable[[_Command], _Command] = click.option(
    "--list", "only_list", is_flag=True, help="Show the sessions there, and open nothing."
)
_stop_option: Callable[[_Command], _Command] = click.option(
    "--stop", is_flag=True, help="End the session, with everything that runs in it."
)
_no_browser_option: Callable[[_Command], _Command] = click.option(
    "--no-browser", is_flag=True, help="Only say which page to open."
)


@click.command(
    short_help="JupyterLab on the machine, in the browser here.",
    epilog="Example: lab jupyter --stop",
)
@alias_option
@_list_option
@_stop_option
@_no_browser_option
@click.pass_obj
def jupyter(
    context: Context, alias: str | None, only_list: bool, stop: bool, no_browser: bool
) -> None:
    """JupyterLab on the machine, in the browser here.

    Notebooks and what they compute stay when the tunnel is closed, the laptop sleeps or the network
    is lost; the same command reaches them again. Labs open as notebooks. A session that nobody uses
    ends after idle_hours in lab.toml.
    """
    _session("jupyter", alias=alias, only_list=only_list, stop=stop, no_browser=no_browser)


@click.command(
    short_help="TensorBoard on the machine, in the browser here.",
    epilog="Example: lab tensorboard --no-browser",
)
@alias_option
@_list_option
@_stop_option
@_no_browser_option
@click.pass_obj
def tensorboard(
    context: Context, alias: str | None, only_list: bool, stop: bool, no_browser: bool
) -> None:
    """TensorBoard on the machine, in the browser here.

    It shows the curves of every run in outputs/, while they grow.
    It is as private as `lab jupyter` and reconnects like it.
    """
    _session("tensorboard", alias=alias, only_list=only_list, stop=stop, no_browser=no_browser)


def _session(
    kind: Literal["jupyter", "tensorboard"],
    *,
    alias: str | None,
    only_list: bool,
    stop: bool,
    no_browser: bool,
) -> None:
    """Do what the options of `lab jupyter` and `lab tensorboard` ask for."""
    from ..sessions.session import list_sessions, open_session, stop_sessions

    if only_list and stop:
        raise UsageError("--list and --stop cannot be had together.", hint="Use one of the two")
    if only_list:
        list_sessions(kind, alias=alias)
    elif stop:
        stop_sessions(kind, alias=alias)
    else:
        open_session(kind, alias=alias, open_browser=not no_browser)
