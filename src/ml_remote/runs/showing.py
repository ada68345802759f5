"""`lab show`: all that is known of one run, from its record and from its machine."""

from __future__ import annotations

import math
import shlex
from datetime import datetime, timedelta

from ..answers import JOB, is_a
from ..context import Context
from ..errors import LabError, UsageError
from ..jobs.about import Run
from ..jobs.document import job_document
from ..jobs.job import Job
from ..next_steps import Known, what_next
from ..records.comparison import chosen
from ..records.reading import FILES, Record, read_record, records_in
from ..transfer.choosing import Choice
from ..transfer.fetching import fetch_outputs
from ..ui.text import in_one_line
from ..ui.words import duration_in_words
from .comparing import bring_records
from .failing import last_line_in, reason_of_failure
from .listing import choose_run
from .machines import RemoteJob, find_jobs
from .summary import metric_lines
from .sweeps.finding import find_sweep_id, sweep_of
from .sweeps.showing import show_sweep

__all__ = ["show_run"]

_LOG = "log.txt"  # what a set of a sweep has printed
_HASH = 12  # characters of a commit or a sum that are shown


def show_run(
    context: Context, text: str | None, *, alias: str | None = None, as_json: bool = False
) -> None:
    """Run `lab show`; a sweep is shown as `lab runs SWEEP` shows it.

    Raises UsageError when it is not clear which run is meant.
    """
    name = context.project.alias(alias)  # without a project, there is no record either
    try:
        known = find_jobs(context, alias, "run")
    except LabError as error:
        if text is None:
            raise
        context.console.warn(f"This may be out of date: {error.message}")
        known = []
    sweep = find_sweep_id(known, text)
    if sweep is not None:
        show_sweep(context, sweep_of(known, sweep), as_json=as_json)
        return
    found = _job(context, known, text, name)
    if found is None:
        assert text is not None
        record, job = _record(context, text, alias=alias, is_reachable=bool(known)), None
        why = "", last_line_in(record.folder / _LOG) if record.exit_code else ""
    else:
        record, job, why = _record_of(context, found), found.job, reason_of_failure(found)
    if as_json:
        context.console.json(
            {**_document(record, job), "why": why[0] or None, "said": why[1] or None}
        )
        return
    for line in _lines(context, record, job, why):
        context.console.say(line)
    can_repeat = is_a(JOB, record.id) and (job is not None or record.run is not None)
    step = f"lab run --repeat {record.id}" if can_repeat else "lab runs --all"
    context.console.next_step(what_next(context, Known(results=step)))


def _job(
    context: Context, known: list[RemoteJob], text: str | None, alias: str
) -> RemoteJob | None:
    """Return the job that is meant; None where only a record can be. Raises UsageError."""
    if text is not None and not any(text in one.job.id for one in known):
        return None
    jobs = [one.job for one in known]
    job = choose_run(jobs, text, alias=alias, otherwise=what_next(context))
    return next(one for one in known if one.job is job)


def _record_of(context: Context, found: RemoteJob) -> Record:
    """Return the record of a job, fetched if it differs from the machine's."""
    job, outputs = found.job, context.project.outputs
    folder = f"{job.run.output_folder}/{job.id}"
    try:
        fetch_outputs(found.machine, outputs, only=folder, choice=Choice(files=FILES))
    except LabError as error:
        context.console.warn(f"Its record may be out of date: {error.message}")
    return read_record(outputs / folder)


def _record(context: Context, text: str, *, alias: str | None, is_reachable: bool) -> Record:
    """Return the record that a text alone means. Raises UsageError."""
    if is_reachable:
        bring_records(context, alias)
    known = records_in(context.project.outputs)
    found = [one for one in known if text in (one.id, one.name)] or chosen(known, text)
    if len(found) == 1:
        return found[0]
    which, fits = (f"{len(found)} runs", "match") if found else ("No run", "matches")
    latest = ", ".join(one.id for one in (found or known)[-3:]) or "none"
    raise UsageError(
        f"{which} {fits} {text!r}. The latest: {in_one_line(latest)}.",
        hint="lab runs --all",
    )


def _lines(context: Context, record: Record, job: Job | None, why: tuple[str, str]) -> list[str]:
    """Return what is known of a run, a line for each thing; what is not known has none.

    `why` is the reason of its failure, and the last line that it printed.
    """
    run = record.run if job is None else job.run
    state = "" if job is None else f"  {job.state}"
    rows = [*_what_ran(run, record), *_where_from(context, record), *_where(record)]
    started = record.started if job is None else job.started
    rows += [("started", _moment(started)), ("ended", _moment(record.ended))]
    if record.seconds is not None:
        rows.append(("took", duration_in_words(timedelta(seconds=record.seconds))))
    exit_code = record.exit_code if job is None else job.exit_code
    rows.append(("exit code", "" if exit_code is None else str(exit_code)))
    rows += zip(("reason", "last line"), why, strict=True)
    folder = f"outputs/{record.name}"
    is_here = (context.project.root / folder).is_dir()
    rows.append(("results", folder if is_here else f"{folder} (not here yet: lab pull)"))
    known = [(name, in_one_line(text)) for name, text in rows if text]
    width = max(len(name) for name, _ in known)
    lines = [f"{record.id}{state}", *(f"  {name.ljust(width)}  {text}" for name, text in known)]
    metrics = metric_lines(dict(record.metrics))
    return [*lines, *(["  metrics"] if metrics else []), *(f"    {line}" for line in metrics)]


def _what_ran(run: Run | None, record: Record) -> list[tuple[str, str]]:
    rows = []
    if run is not None:
        rows.append(("lab", run.lab) if run.lab else ("command", shlex.join(run.command)))
        rows += [("started by", run.launcher), ("hosts", ", ".join(run.hosts))]
        rows.append(("variables", ", ".join(f"{name}={value}" for name, value in run.variables)))
        rows.append(("secrets", ", ".join(run.secrets)))
        rows.append(("resumed from", run.resume))
    values = record.known.values
    if run is not None and not values:
        values = dict(run.parameters)
    rows.append(("parameters", ", ".join(f"{name}={value}" for name, value in values.items())))
    number = "" if record.set is None else f", set {record.set}"
    rows.append(("sweep", f"{record.sweep}{number}" if record.sweep else ""))
    return rows


def _where_from(context: Context, record: Record) -> list[tuple[str, str]]:
    """Return the rows about the code and the packages."""
    changes = ""
    if record.dirty:
        path = f"outputs/{record.name}/{record.difference}"
        is_here = record.difference and (context.project.root / path).is_file()
        where = path if is_here else "To fetch them: lab pull" if record.difference else "too large"
        changes = f", with changes ({where})"
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return [
        ("commit", f"{record.commit[:_HASH]}{changes}" if record.commit else ""),
        ("lock", f"sha256 {record.lock[:_HASH]}" if record.lock else ""),
        ("versions", versions),
    ]


def _where(record: Record) -> list[tuple[str, str]]:
    return [("device", record.device), ("host", record.host)]


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%d %b %Y %H:%M:%S}"


def _document(record: Record, job: Job | None) -> dict[str, object]:
    """Return it as an object of JSON. What is not known is null."""
    return {
        "id": record.id,
        "lab": record.lab,
        "commit": record.commit or None,
        "dirty": record.dirty,
        "difference": record.difference or None,
        "lock": record.lock or None,
        "versions": dict(record.versions),
        "device": record.device or None,
        "host": record.host or None,
        "sweep": record.sweep or None,
        "set": record.set,
        "started": None if record.started is None else record.started.isoformat(),
        "ended": None if record.ended is None else record.ended.isoformat(),
        "seconds": record.seconds,
        "exit_code": record.exit_code,
        "parameters": dict(record.known.values),
        "metrics": {
            name: value if math.isfinite(value) else None for name, value in record.metrics.items()
        },
        "job": None if job is None else job_document(job),
    }
