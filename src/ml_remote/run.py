"""`lab run` from its options to its exit code: what comes before the run, and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import answers
from .context import Context
from .errors import LabError, UsageError
from .first_free import first_free
from .notify import notifier, notify
from .runs.launchers import LAUNCHERS
from .runs.launchers.launcher import Order
from .runs.pairs import refuse
from .runs.running import run
from .runs.running_here import run_here
from .runs.variables import given_variables

__all__ = ["carry_out"]


def carry_out(
    context: Context, lab: str | None, command: Sequence[str], options: Mapping[str, Any]
) -> int:
    """Carry out `lab run`; return the exit code of a program, 0 for a lab.

    Raises LabError when the run cannot be started, or a lab fails.
    """
    refuse({**options, "lab": lab, "command": tuple(command)})
    if options["local"]:
        run_here(context, lab or "", options["parameters"], verbose=options["verbose"])
        return 0
    order = _order(context, lab or "", command, options)
    if not options["notify"]:
        return run(context, order)
    ring = notifier(context.project.settings.notify_command)
    try:
        code = run(context, order)
    except LabError as error:
        notify(ring, context.console, error.message)
        raise
    what = lab or " ".join(command)
    notify(ring, context.console, f"{what} ended" + (f": exit code {code}" if code else ""))
    return code


def _order(context: Context, lab: str, command: Sequence[str], options: Mapping[str, Any]) -> Order:
    """Return what is asked for, once the code is sent that is to be sent. Raises LabError."""
    name = options["name"]
    if name is not None and not answers.is_a(answers.NAME, name):
        raise UsageError(
            f"The name {name!r} cannot be a folder of results. Use letters, digits, -, _ and ."
        )
    variables = given_variables(options["variables"], options["env_file"])
    alias = options["alias"]
    if options["first_free"] is not None:
        alias = first_free(context, options["first_free"])
    if options["push"] or options["push_dirty"]:
        from .transfer.pushing import push_to

        push_to(context, context.machine(alias), dirty=options["push_dirty"])
    of_launchers = {one.name or "" for each in LAUNCHERS.values() for one in each.options}
    return Order(
        lab=lab,
        command=command,
        name=name,
        tty=options["tty"],
        variables=variables,
        parameters=options["parameters"],
        alias=alias,
        resume=options["resume"],
        detach=options["detach"],
        again=options["again"],
        verbose=options["verbose"],
        options={key: value for key, value in options.items() if key in of_launchers},
    )
