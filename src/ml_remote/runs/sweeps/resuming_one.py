"""Resume the part of a sweep that one machine has."""

from __future__ import annotations

from dataclasses import replace

from ...context import Context
from ...errors import LabError
from ...scripts import ExitCode, run_script
from ..folders import shared_folders
from ..launchers.launcher import RunRequest
from ..launchers.one_machine import code_is_changed
from .request import SweepRequest
from .starting import Share, in_lines
from .state import Sweep
from .workers import Cards, command_of_sets, how_many_at_once, launcher_for, start_workers

__all__ = ["resume_on_machine"]


def resume_on_machine(
    context: Context,
    part: Sweep,
    request: RunRequest,
    asked: SweepRequest,
    share: Share,
    *,
    cards: Cards,
    more: int = 0,
    name: str = "",
) -> None:
    """Continue the sets of one machine, with these added under a name; start its workers.

    Raises LabError.
    """
    machine, run = part.machine, part.run
    code_is_changed(context, machine, run, since=None, is_of_now=True)
    far = launcher_for(run).far(machine)
    open_sets = part.left + part.failed + len(share.sets) + more
    asked_at_once = part.at_once if asked.at_once is None else asked.at_once
    wanted = how_many_at_once(
        machine, run, asked_at_once or None, most=max(1, open_sets), cards=cards
    )
    folders = shared_folders(context, machine, far=far, at_once=wanted, sweep=part.id)
    first = name or (f"{share.sets[0][0]:06}" if share.sets else "")
    run_script(
        machine,
        "resume-sweep",
        part.id,
        first,
        in_lines(share.sets),
        command_of_sets(context, run, far=far),
        far,
        str(part.total + more) if more else "",
        job=part.id,
        explanations={
            ExitCode.CHANGED: lambda _: LabError(
                f"Someone else has just added sets to {part.id}.", hint="Run the command again"
            )
        },
    )
    if not open_sets:
        return
    count = max(0, wanted - len(part.living)) if run.launcher != "slurm" else wanted
    if count or run.launcher == "slurm":
        start_workers(
            context,
            machine,
            replace(run, sweep=part.id),
            count=count,
            sets=len(share.sets) + more if part.living else open_sets,
            far=far,
            folders=folders,
            secrets=request.variables.secret,
        )
