"""`lab up`: connect, push, make the environment, and open the editor meanwhile."""

from __future__ import annotations

from . import console
from .editor.code import code as open_editor
from .environment import begin_setup, finish_setup
from .errors import HostKeyUnknownError, LabError
from .login.connecting import connect
from .login.logins import log_in
from .settings import project_root
from .target import Target, read_target
from .transfer.pushing import push_to

__all__ = ["up"]


def up(*, alias: str | None = None, code: bool = True, yes: bool = False) -> None:
    """Carry out `lab up`; the arguments are those of the command line.

    Every step does what is left to do, so after a failure the same command goes on from there.
    Raises LabError, in words, when a step fails.
    """
    target = read_target(alias)
    _connect(target, yes=yes)
    push_to(target, project_root())
    job = begin_setup(target)
    if code:
        _open_editor(target)
    finish_setup(target, job)
    console.next_step("lab run labs/mnistlab.py")


def _connect(target: Target, *, yes: bool) -> None:
    """See that the machine lets us in without a password, or do what is needed for that."""
    resolved = target.client.resolve()
    known = resolved["hostname"] != [target.alias] or "proxycommand" in resolved
    if known and _logs_in(target):
        console.say(f"Connected: `ssh {target.alias}` logs in without a password.")
        return
    with console.part_of_more():
        connect(None, alias=target.alias, yes=yes)


def _logs_in(target: Target) -> bool:
    # A connection that was made by hand will do: where a second factor is asked for, no other can.
    if target.client.attempt("exit").returncode == 0:
        return True
    try:
        return log_in(target.client).succeeded
    except HostKeyUnknownError:
        return False


def _open_editor(target: Target) -> None:
    """Open the editor; without one the rest is of use all the same."""
    try:
        with console.part_of_more():
            open_editor(alias=target.alias)
    except LabError as error:
        console.warn(f"VS Code was not opened: {error.message}")
