"""`lab run` from its options to its exit code: the steps before and after the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from . import answers
from .context import Context
from .errors import LabError, UsageError
from .machine import Machine
from .runs.labs import check_folder
from .runs.launchers import LAUNCHERS, launcher_asked_for
from .runs.launchers.launcher import RunRequest
from .runs.option_conflicts import check_run_options
from .runs.variables import given_variables

__all__ = ["run"]


def run(
    context: Context, lab: str | None, command: Sequence[str], options: Mapping[str, Any]
) -> int:
    """Run `lab run`; return the exit code of a program, 0 for a lab.

    Raises LabError when the run cannot be started, or a lab fails.
    """
    is_on_node = True if context.is_on_node else None
    check_run_options({**options, "node": is_on_node, "lab": lab, "command": tuple(command)})
    if options["repeat"] or options["resume"]:
        from .runs.repeating import recalled

        what = recalled(context, lab, command, options)
        lab, command, options = what.lab, what.command, what.options
    if options["local"]:
        from .runs.local_run import run_locally

        run_locally(context, lab or "", options["parameters"], verbose=options["verbose"])
        return 0
    start = _starter({**options, "lab": lab, "command": command})
    request = _request(context, lab or "", command, options)
    if not options["notify"]:
        return start(context, request)
    from .notify import notifier, notify

    ring = notifier(context.project.settings.notify_command)
    try:
        code = start(context, request)
    except LabError as error:
        notify(ring, context.console, error.message)
        raise
    title = lab or " ".join(command) or f"The sweep {request.resume}"
    notify(ring, context.console, f"{title} ended" + (f": exit code {code}" if code else ""))
    return code


def _run(context: Context, request: RunRequest) -> int:
    """Run it once, on the remote machine or on several; return the exit code.

    Raises UsageError for a lab, parameter or mixture of options that does not exist, and LabError
    when the run cannot be started or fails.
    """
    return launcher_asked_for(request.options).run(context, request)


def _starter(options: Mapping[str, Any]) -> Callable[[Context, RunRequest], int]:
    """Return what carries the request out: one run, or a sweep. Raises UsageError for a bad one."""
    if not options["sweep"] and options["resume"] is None:
        return _run
    if options["resume"] is not None and (options["lab"] or options["command"]):
        if options["sweep"] or any(
            options[name] is not None for name in ("at_once", "samples", "spread")
        ):
            raise UsageError(
                "With --resume, the options --sweep, --samples, --at-once and --spread need a "
                "sweep, not a run.",
                hint="To continue a sweep, or add sets to it: lab run --resume SWEEP",
            )
        return _run
    from .runs.sweeps.request import read_request
    from .runs.sweeps.resuming import resume
    from .runs.sweeps.starting import start

    run_sweep = start if options["resume"] is None else resume
    return partial(run_sweep, asked=read_request(options), cards=_cards)


def _cards(machine: Machine) -> int:
    """Return how many cards a machine has."""
    from .status import look_at

    return len(look_at(machine).gpus)


def _request(
    context: Context, lab: str, command: Sequence[str], options: Mapping[str, Any]
) -> RunRequest:
    """Return what is asked for, once the code is sent that is to be sent. Raises LabError."""
    if not options.get("code_of"):
        check_folder(context.project, command)
    name = options["name"]
    if name is not None and not answers.is_a(answers.NAME, name):
        raise UsageError(
            f"The name {name!r} cannot be the name of results. Use letters, digits, -, _ and ."
        )
    variables = given_variables(options["variables"], options["env_file"])
    alias = options["alias"]
    if options["first_free"] is not None:
        from .first_free import first_free

        alias = first_free(context, options["first_free"])
    if options["push"] or options["push_dirty"]:
        from .runs.sweeps.request import read_spread
        from .transfer.pushing import push_to

        spread = [context.one_of_several(one) for one in read_spread(options["spread"])]
        for machine in spread or [context.machine(alias)]:
            push_to(context, machine, dirty=options["push_dirty"])
    of_launchers = {one.name or "" for each in LAUNCHERS.values() for one in each.options}
    return RunRequest(
        lab=lab,
        command=command,
        name=name,
        tty=options["tty"],
        variables=variables,
        parameters=options["parameters"],
        alias=alias,
        gpus=options["gpus"],
        resume=options["resume"],
        detach=options["detach"],
        again=options["again"] or options["repeat"] is not None,
        code_of=options.get("code_of", ""),
        verbose=options["verbose"],
        options={key: value for key, value in options.items() if key in of_launchers},
    )
