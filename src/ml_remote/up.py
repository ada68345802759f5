"""`lab up`: connect, push, make the environment, and open the editor meanwhile."""

from __future__ import annotations

from .context import Context
from .editor.code import code as open_editor
from .environment import begin_setup, finish_setup
from .errors import HostKeyUnknownError, LabError
from .login.connecting import connect
from .login.logins import log_in
from .machine import Machine
from .next_steps import what_next
from .transfer.pushing import push_to

__all__ = ["up"]


def up(context: Context, *, alias: str | None = None, code: bool = True, yes: bool = False) -> None:
    """Carry out `lab up`; the arguments are those of the command line.

    Every step does what is left to do, so after a failure the same command goes on from there.
    Raises LabError, in words, when a step fails.
    """
    machine = context.machine(alias)
    _connect(context, machine, yes=yes)
    push_to(context, machine)
    job = begin_setup(context, machine)
    if code:
        _open_editor(context, machine)
    finish_setup(context, machine, job)
    context.console.next_step(what_next(context, after="lab up"))


def _connect(context: Context, machine: Machine, *, yes: bool) -> None:
    """See that the machine lets us in without a password, or do what is needed for that."""
    if machine.client.is_configured and _logs_in(machine):
        context.console.say(f"Connected: `ssh {machine.alias}` logs in without a password.")
        return
    with context.console.part_of_more():
        connect(context, None, alias=machine.alias, yes=yes)


def _logs_in(machine: Machine) -> bool:
    # A connection that was made by hand will do: where a second factor is asked for, no other can.
    if machine.client.attempt("exit").returncode == 0:
        return True
    try:
        return log_in(machine.client).succeeded
    except HostKeyUnknownError:
        return False


def _open_editor(context: Context, machine: Machine) -> None:
    """Open the editor; without one the rest is of use all the same."""
    try:
        with context.console.part_of_more():
            open_editor(context, alias=machine.alias)
    except LabError as error:
        context.console.warn(f"VS Code was not opened: {error.message}")
