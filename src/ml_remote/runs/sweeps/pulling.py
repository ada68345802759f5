"""`lab pull SWEEP` for a sweep that several machines have parts of."""

from __future__ import annotations

from collections.abc import Sequence

from ...context import Context
from ...next_steps import Known, what_next
from ...transfer.choosing import Choice
from ...transfer.fetch_report import fetch_and_report
from ..machines import find_jobs, machines_with_runs
from .finding import find_sweep_id, sweep_of
from .results import look_at_sweep

__all__ = ["pull_spread"]


def pull_spread(
    context: Context, text: str, exclude: Sequence[str], *, overwrite: bool = False
) -> bool:
    """Fetch the results of a sweep from all its machines, if several have parts of it.

    Return whether that was done. Raises LabError.
    """
    if len(machines_with_runs(context, None)) == 1:
        return False
    known = find_jobs(context, None, "run")
    own = find_sweep_id(known, text)
    if own is None:
        return False
    sweep = sweep_of(known, own)
    if len(sweep.folders) == 1 and not sweep.run.spread:
        return False
    choice = Choice(only=(f"{sweep.id}-*",), exclude=tuple(exclude))
    for one in sweep.folders:
        fetch_and_report(
            context,
            one.machine,
            only=sweep.run.output_folder,
            choice=choice,
            overwrite=overwrite,
        )
    results = look_at_sweep(context.project, sweep.run)
    context.console.next_step(what_next(context, Known(results=results), after="lab pull"))
    return True
