"""`lab run --repeat` and `--resume` without a lab: the request of an earlier run, made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..context import Context
from ..errors import UsageError
from ..jobs.about import Run
from ..next_steps import what_next
from .listing import choose_run
from .machines import find_jobs, machines_with_runs
from .sweeps.finding import find_sweep_id

__all__ = ["Recalled", "recalled"]


@dataclass(frozen=True)
class Recalled:
    """What `lab run` is asked for, with what an earlier run has added to it."""

    lab: str | None
    command: Sequence[str]
    options: Mapping[str, Any]


def recalled(
    context: Context, lab: str | None, command: Sequence[str], options: Mapping[str, Any]
) -> Recalled:
    """Return what to run: as it is asked for, or as the run that is named without a lab ran.

    Parameters and variables that are given count, and so does another way to start it. Raises
    UsageError when it is not clear which run is meant.
    """
    again = options["repeat"] or options["resume"]
    if again is None or lab or command or _is_sweep(context, options):
        return Recalled(lab, command, options)
    run_id, run, alias = _meant(context, again, options["alias"])
    if run.command and options["parameters"]:
        raise UsageError(f"{run_id} ran a program, which has no parameters.")
    if options["from_commit"] and run.launcher == "torchrun":
        raise UsageError("--from-commit cannot be used for a run on several hosts.")
    context.console.note(f"{run_id} ran: {run.title}")
    settled = {**options, **_what_it_was(run, options)}
    settled["repeat" if options["repeat"] else "resume"] = run_id
    settled["code_of"] = f"{run.output_folder}/{run_id}" if options["from_commit"] else ""
    if alias is not None and not run.hosts and options["first_free"] is None:
        settled["alias"] = alias
    return Recalled(run.lab or None, run.command, settled)


def _is_sweep(context: Context, options: Mapping[str, Any]) -> bool:
    """Return whether it is a sweep that is to be resumed, which has its own way to continue."""
    again = options["repeat"] or options["resume"]
    sweep = find_sweep_id(find_jobs(context, options["alias"], "run"), again)
    if sweep is not None and options["repeat"]:
        raise UsageError(
            f"{again!r} is a sweep, and only one run can be repeated at a time.",
            hint="Name one of its runs, such as SWEEP-1; to continue it: lab run --resume SWEEP",
        )
    return sweep is not None


def _meant(context: Context, text: str, alias: str | None) -> tuple[str, Run, str | None]:
    """Return the id of the run that is meant, what it ran, and its machine if it is another one.

    What is known of it there counts, else its record here. Raises UsageError.
    """
    known = find_jobs(context, alias, "run")
    name = context.project.alias(alias)
    if not any(text in one.job.id for one in known):
        from ..records.reading import records_in
        from .comparing import bring_records

        bring_records(context, alias)
        records = [one for one in records_in(context.project.outputs) if text in one.id and one.run]
        exact = [one for one in records if one.id == text] or records
        # What one machine has written is not run on another one, unless it is the project's own.
        is_only = len(machines_with_runs(context, None)) == 1
        if len(exact) == 1 and exact[0].run is not None and (exact[0].run.lab or is_only):
            return exact[0].id, exact[0].run, alias
    jobs = [one.job for one in known]
    job = choose_run(jobs, text, alias=name, otherwise=what_next(context))
    (found,) = [one for one in known if one.job is job]
    return job.id, job.run, found.machine.alias if found.machine.alias != name else alias


def _what_it_was(run: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that make it the same run, with what is asked for in their place."""
    parameters = {**dict(run.parameters), **dict(options["parameters"])}
    secrets = [name for name in run.secrets if options["env_file"] is None]
    given = [f"{name}={value}" for name, value in run.variables]
    found: dict[str, Any] = {
        "parameters": tuple(parameters.items()),
        "variables": (*given, *secrets, *options["variables"]),
    }
    if run.command:
        found |= {"name": options["name"] or run.name, "tty": options["tty"] or run.tty}
        # A program has no parameters; those of a set of a sweep were its variables.
        swept = [f"{name}={value}" for name, value in run.parameters]
        found |= {"parameters": (), "variables": (*swept, *found["variables"])}
    if run.launcher != "torchrun":
        found["gpus"] = run.gpus if options["gpus"] is None else options["gpus"]
    asks = ("slurm", "hosts", "nproc_per_node")
    if any(options[name] not in (None, False) for name in asks):
        return found
    if run.launcher == "slurm":
        found["slurm"] = True
        found["until_done"] = options["until_done"] or run.until_done
    if run.launcher == "torchrun":
        if run.hosts and run.processes is None:
            found["hosts"] = ",".join(run.hosts)
        elif run.processes is not None:
            found["nproc_per_node"] = run.processes
            found["hosts"] = ",".join(run.hosts) if len(run.hosts) > 1 else None
    return found
