"""A job as `--json` prints it; docs/contract.md lists the keys."""

from __future__ import annotations

from datetime import datetime

from .about import Run
from .job import Job

__all__ = ["job_document"]


def job_document(job: Job) -> dict[str, object]:
    """Return a job as an object of JSON. What does not apply is null; times are ISO 8601."""
    run = job.about.run
    return {
        "id": job.id,
        "kind": job.kind,
        "title": job.title,
        "state": job.state,
        "started": _time(job.started),
        "ended": _time(job.ended),
        "seconds": round(job.duration.total_seconds()),
        "exit_code": job.exit_code,
        "host": job.host,
        "silent_since": _time(job.silent_since),
        "slurm": None if job.slurm is None else {**vars(job.slurm)},
        "requeues": job.requeues,
        "place": None if job.place is None else {"number": job.place[0], "of": job.place[1]},
        "code": job.code or None,
        "run": None if run is None else {**vars(run), **_pairs(run)},
    }


def _pairs(run: Run) -> dict[str, object]:
    return {"parameters": dict(run.parameters), "variables": dict(run.variables)}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone().isoformat(timespec="seconds")
