"""`lab up`: connect, push, make the environment, and open the editor."""

from __future__ import annotations

from .context import Context
from .environment import begin_setup, finish_setup
from .errors import HostKeyUnknownError, LabError
from .machine import Machine
from .next_steps import what_next
from .ssh.shared_connection import is_known_to_ask, is_open
from .transfer.pushing import push_to

__all__ = ["up"]


def up(context: Context, *, alias: str | None = None, code: bool = True, yes: bool = False) -> None:
    """Run `lab up`; the arguments are those of the command line.

    The editor opens at once where there is an environment, else when setup says that there is an
    interpreter: a window that finds none does not look for it again.

    Every step does what is left to do, so after a failure the same command continues from there.
    Raises LabError, in words, when a step fails.
    """
    machine = context.machine(alias)
    _connect(context, machine, yes=yes)
    there = push_to(context, machine)
    job = begin_setup(context, machine)
    editor = _Editor(context, machine, is_wanted=code)
    if job is None or there.has_environment:
        editor.open()
    finish_setup(context, machine, job, on_first=editor.open)
    editor.open()
    context.console.next_step(what_next(context, after="lab up"))


def _connect(context: Context, machine: Machine, *, yes: bool) -> None:
    """Ensure that the machine lets us in without a password; connect if it does not."""
    if machine.client.is_configured and _logs_in(machine):
        if is_known_to_ask(machine.client):
            context.console.say(f"Connected: commands share one connection to {machine.alias}.")
        else:
            context.console.say(f"Connected: `ssh {machine.alias}` logs in without a password.")
        return
    from .login.connecting import connect

    with context.console.part_of_more():
        connect(context, None, alias=machine.alias, yes=yes)


def _logs_in(machine: Machine) -> bool:
    # A connection that was made by hand will do: where a second factor is asked for, no other can.
    # One that is open is not tried: the next question would find it gone.
    if is_open(machine.client) or machine.client.attempt("exit").returncode == 0:
        return True
    from .login.logins import log_in

    try:
        return log_in(machine.client).succeeded
    except HostKeyUnknownError:
        return False


class _Editor:
    """The editor, which is opened once; the other steps work without one."""

    def __init__(self, context: Context, machine: Machine, *, is_wanted: bool) -> None:
        self._context = context
        self._alias = machine.alias
        self._is_wanted = is_wanted

    def open(self) -> None:
        """Open it, unless that was done."""
        if not self._is_wanted:
            return
        self._is_wanted = False
        from .editor.code import code as open_editor

        try:
            with self._context.console.part_of_more():
                open_editor(self._context, alias=self._alias)
        except LabError as error:
            self._context.console.warn(f"VS Code was not opened: {error.message}")
