"""`lab runs`: the headless runs on the remote machine, and finding the one a person means."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..context import Context
from ..errors import UsageError
from ..jobs import no_sign
from ..jobs.document import job_document
from ..jobs.job import Job
from ..next_steps import Known, look_at, what_next
from ..ui.words import duration_in_words
from .failing import reason_of_failure
from .machines import find_jobs
from .sweeps.finding import find_set, find_sweep_id, sweep_of, sweeps_among
from .sweeps.results import look_at_sweep
from .sweeps.showing import show_sweep, sweep_document
from .sweeps.state import Sweep

__all__ = ["choose_run", "known_from", "list_runs", "table"]

_SHOWN = 20
_BRING = "lab pull fetches all results"


def list_runs(
    context: Context,
    text: str | None = None,
    *,
    alias: str | None = None,
    show_all: bool = False,
    as_json: bool = False,
) -> None:
    """Run `lab runs`, only of those whose id has `text` in it, if given.

    Raises LabError when the machine or the folder is not there.
    """
    console = context.console
    known = find_jobs(context, alias, "run")
    own = find_sweep_id(known, text)
    if own is not None:
        show_sweep(context, sweep_of(known, own), as_json=as_json)
        return
    of_sweep = find_set(known, text)
    if of_sweep is not None:
        sweep_id, number = of_sweep
        show_sweep(context, sweep_of(known, sweep_id), only=number, as_json=as_json)
        return
    found = [one for one in known if (text or "") in one.job.id]
    sweeps = sweeps_among(found)
    if as_json:
        documents = [{**job_document(one.job), "alias": one.machine.alias} for one in found]
        console.json({"runs": documents, "sweeps": [sweep_document(one) for one in sweeps]})
        return
    runs = [one.job for one in found]
    if not runs and text:
        raise UsageError(f"No run matches {text!r}.", hint="lab runs --all")
    if not runs:
        console.say(f"No lab has been run on {context.project.alias(alias)} yet.")
        console.next_step(what_next(context, after="lab runs"))
        return
    listed = _one_a_sweep(runs, sweeps)
    shown = listed if show_all else listed[-_SHOWN:]
    for line in (*table(shown), *_remarks(shown)):
        console.say(line)
    if text and len(found) == 1:  # it is this one that is asked for
        why, said = reason_of_failure(found[0])
        for line in filter(None, (why, said and f'Its last line: "{said}"')):
            console.say(line)
    if len(shown) < len(listed):
        console.say(f"The last {_SHOWN} of {len(listed)}; all of them: lab runs --all")
    known_now = known_from(context, runs, sweeps=sweeps)
    console.next_step(what_next(context, known_now, after="lab runs"))


def _one_a_sweep(runs: Sequence[Job], sweeps: Sequence[Sweep]) -> list[Job | Sweep]:
    """Return what there is a line for: a sweep in the place of its workers, the oldest first."""
    known = {sweep.id for sweep in sweeps}
    listed: list[Job | Sweep] = [run for run in runs if run.run.sweep not in known]
    return sorted([*listed, *sweeps], key=lambda one: (one.started, one.id))


def choose_run(
    runs: Sequence[Job], text: str | None, *, alias: str, otherwise: str | None = None
) -> Job:
    """Return the run whose id is, or alone contains, `text`; None means the one to look at now.

    That is the newest of those in progress, or else the newest. `otherwise` is what to do
    where there is none. Raises UsageError.
    """
    if not runs:
        raise UsageError(f"No lab has been run on {alias} yet.", hint=otherwise)
    if text is None:
        return next((run for run in reversed(runs) if not run.is_over), runs[-1])
    found = [run for run in runs if run.id == text] or [run for run in runs if text in run.id]
    if len(found) == 1:
        return found[0]
    which, fits = (f"{len(found)} runs", "match") if found else ("No run", "matches")
    raise UsageError(
        f"{which} on {alias} {fits} {text!r}. "
        f"The latest: {', '.join(run.id for run in (found or runs)[-3:])}.",
        hint="lab runs --all",
    )


def table(runs: Sequence[Job | Sweep]) -> list[str]:
    """Return a table of the runs, with its heading, times in the time zone of this computer."""
    rows = [("RUN", "STATE", "STARTED", "TOOK", "EXIT", "LAB"), *map(_row, runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(run: Job | Sweep) -> tuple[str, ...]:
    """Return the cells of one line; a sweep says how far it is."""
    started = run.started.astimezone().strftime("%d %b %H:%M")
    took = duration_in_words(run.duration)
    if isinstance(run, Sweep):
        return (run.id, run.state, started, took, "", f"{run.line()}: {run.about.title}")
    return (
        run.id,
        _state(run),
        started,
        "?" if run.state == "lost" else took,
        "" if run.exit_code is None else str(run.exit_code),
        _what(run),
    )


def _what(run: Job) -> str:
    """Return what a run runs, and what Slurm calls it."""
    return run.title if run.slurm is None else f"{run.title} (Slurm job {run.slurm.id})"


def _remarks(listed: Sequence[Job | Sweep]) -> list[str]:
    """Return what is to be said of the code of these runs, a sentence for each remark."""
    runs: dict[str, list[str]] = {}
    for one in listed:
        if isinstance(one, Job) and one.code:
            runs.setdefault(one.code, []).append(one.id)
    return [
        f"{'Run ' if len(ids) == 1 else 'Each of '}{', '.join(ids)} {remark}."
        for remark, ids in runs.items()
    ]


def _state(run: Job) -> str:
    """Return the state of a run, with what Slurm adds to it."""
    if run.silent_since is not None:
        return no_sign(run)
    if run.state == "queued" and run.place is not None:
        return f"queued ({run.place[0]} of {run.place[1]} in line)"
    if run.slurm is None:
        return run.state
    if run.is_requeued and run.slurm.reason in ("", "BeginTime"):
        return "requeued"
    if run.is_requeued:
        return f"requeued ({run.slurm.reason})"
    if run.state == "queued":
        return f"queued ({run.slurm.reason})" if run.slurm.reason else "queued"
    if run.state == "failed" and run.slurm.state != "FAILED":
        return f"failed ({run.slurm.state})"
    if run.state == "unknown":
        return "unknown (Slurm does not answer)"
    return run.state


def known_from(
    context: Context,
    runs: Sequence[Job],
    *,
    ended: Collection[str] = (),
    sweeps: Sequence[Sweep] = (),
) -> Known:
    """Return what runs tell: which are in progress, and where the latest other results are.

    `ended` are the ids of those that have been ended since; `sweeps` are those of workers among
    them, as far as they were asked for.
    """
    going_on = [run for run in runs if not run.is_over and run.id not in ended]
    over = [run for run in runs if run not in going_on]
    results = None
    if over:
        last = over[-1].run
        folder = f"{last.output_folder}/{f'{last.sweep}-1' if last.sweep else over[-1].id}"
        is_here = (context.project.outputs / folder).is_dir()
        here = look_at_sweep(context.project, last) if last.sweep else look_at(folder)
        results = here if is_here else _BRING
    interrupted = [sweep.id for sweep in sweeps if sweep.state == "interrupted"]
    return Known(
        running=list(dict.fromkeys(run.run.sweep or run.id for run in going_on)),
        interrupted=interrupted[-1] if interrupted else "",
        results=results,
    )
