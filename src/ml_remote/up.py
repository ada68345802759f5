"""`lab up`: connect, push, make the environment, and open the editor meanwhile."""

from __future__ import annotations

from .editor.code import code as open_editor
from .environment import begin_setup, finish_setup
from .errors import HostKeyUnknownError, LabError
from .login.connecting import connect
from .login.logins import log_in
from .machine import Machine, read_machine
from .settings import project_root
from .transfer.pushing import push_to
from .ui import console

__all__ = ["up"]


def up(*, alias: str | None = None, code: bool = True, yes: bool = False) -> None:
    """Carry out `lab up`; the arguments are those of the command line.

    Every step does what is left to do, so after a failure the same command goes on from there.
    Raises LabError, in words, when a step fails.
    """
    machine = read_machine(alias)
    _connect(machine, yes=yes)
    push_to(machine, project_root())
    job = begin_setup(machine)
    if code:
        _open_editor(machine)
    finish_setup(machine, job)
    console.next_step("lab run labs/mnistlab.py")


def _connect(machine: Machine, *, yes: bool) -> None:
    """See that the machine lets us in without a password, or do what is needed for that."""
    resolved = machine.client.resolve()
    known = resolved["hostname"] != [machine.alias] or "proxycommand" in resolved
    if known and _logs_in(machine):
        console.say(f"Connected: `ssh {machine.alias}` logs in without a password.")
        return
    with console.part_of_more():
        connect(None, alias=machine.alias, yes=yes)


def _logs_in(machine: Machine) -> bool:
    # A connection that was made by hand will do: where a second factor is asked for, no other can.
    if machine.client.attempt("exit").returncode == 0:
        return True
    try:
        return log_in(machine.client).succeeded
    except HostKeyUnknownError:
        return False


def _open_editor(machine: Machine) -> None:
    """Open the editor; without one the rest is of use all the same."""
    try:
        with console.part_of_more():
            open_editor(alias=machine.alias)
    except LabError as error:
        console.warn(f"VS Code was not opened: {error.message}")
