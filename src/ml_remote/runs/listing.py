"""`lab runs`: the headless runs of labs on the remote machine; and which one a person means."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from datetime import timedelta

from ..context import Context
from ..errors import UsageError
from ..jobs import no_sign
from ..jobs.document import job_document
from ..jobs.job import Job
from ..next_steps import Known, what_next
from .places import find_jobs

__all__ = ["choose_run", "duration_in_words", "known_from", "list_runs", "table"]

_SHOWN = 20
_BRING = "lab pull brings all results home"


def list_runs(
    context: Context,
    text: str | None = None,
    *,
    alias: str | None = None,
    show_all: bool = False,
    as_json: bool = False,
) -> None:
    """Carry out `lab runs`, only of those whose id has `text` in it, if given.

    Raises LabError when the machine or the folder is not there.
    """
    console = context.console
    found = [one for one in find_jobs(context, alias, "run") if (text or "") in one.job.id]
    if as_json:
        documents = [{**job_document(one.job), "alias": one.machine.alias} for one in found]
        console.json({"runs": documents})
        return
    runs = [one.job for one in found]
    if not runs and text:
        raise UsageError(f"No run is meant by {text!r}.", hint="lab runs --all")
    if not runs:
        console.say(f"No lab has been run on {context.project.alias(alias)} yet.")
        console.next_step(what_next(context, after="lab runs"))
        return
    shown = runs if show_all else runs[-_SHOWN:]
    for line in table(shown):
        console.say(line)
    if len(shown) < len(runs):
        console.say(f"The last {_SHOWN} of {len(runs)}; all of them: lab runs --all")
    console.next_step(what_next(context, known_from(context, runs), after="lab runs"))


def choose_run(
    runs: Sequence[Job], text: str | None, *, alias: str, otherwise: str | None = None
) -> Job:
    """Return the run whose id is, or alone contains, `text`; None means the one to look at now.

    That is the newest of those that are going on, or else the newest. `otherwise` is what to do
    where there is none. Raises UsageError.
    """
    if not runs:
        raise UsageError(f"No lab has been run on {alias} yet.", hint=otherwise)
    if text is None:
        return next((run for run in reversed(runs) if not run.is_over), runs[-1])
    found = [run for run in runs if run.id == text] or [run for run in runs if text in run.id]
    if len(found) == 1:
        return found[0]
    which = "No run" if not found else f"{len(found)} runs"
    raise UsageError(
        f"{which} on {alias} can be meant by {text!r}. "
        f"The latest: {', '.join(run.id for run in (found or runs)[-3:])}.",
        hint="lab runs --all",
    )


def table(runs: Sequence[Job]) -> list[str]:
    """Return a table of the runs, with its heading, times in the time zone of this computer."""
    rows = [("RUN", "STATE", "STARTED", "TOOK", "EXIT", "LAB")]
    rows += [
        (
            run.id,
            _state(run),
            run.started.astimezone().strftime("%d %b %H:%M"),
            "?" if run.state == "lost" else duration_in_words(run.duration),
            "" if run.exit_code is None else str(run.exit_code),
            run.title if run.slurm is None else f"{run.title} (Slurm job {run.slurm.id})",
        )
        for run in runs
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _state(run: Job) -> str:
    """Return the state of a run, with what Slurm adds to it."""
    if run.silent_since is not None:
        return no_sign(run)
    if run.slurm is None:
        return run.state
    if run.state == "queued":
        return f"queued ({run.slurm.reason})" if run.slurm.reason else "queued"
    if run.state == "failed" and run.slurm.state != "FAILED":
        return f"failed ({run.slurm.state})"
    if run.state == "unknown":
        return "unknown (Slurm does not answer)"
    return run.state


def duration_in_words(duration: timedelta) -> str:
    """Return a duration as `40 s`, `12 min` or `3 h 05 min`."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def known_from(context: Context, runs: Sequence[Job], *, ended: Collection[str] = ()) -> Known:
    """Return what runs tell: which go on, and where the results of the latest other one are.

    `ended` are the ids of those that have been ended since.
    """
    going_on = [run.id for run in runs if not run.is_over and run.id not in ended]
    over = [run for run in runs if run.id not in going_on]
    results = None
    if over:
        folder = f"{over[-1].run.output_folder}/{over[-1].id}"
        is_here = (context.project.outputs / folder).is_dir()
        results = f"look at {shlex.quote(f'outputs/{folder}')}" if is_here else _BRING
    return Known(running=going_on, results=results)
