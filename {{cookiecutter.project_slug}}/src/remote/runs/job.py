"""A long command on the remote machine, and how the scripts there describe one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

__all__ = ["Job", "Kind", "State", "parse_jobs"]

Kind = Literal["setup", "run", "worker", "jupyter", "tensorboard"]
"""A `worker` is the part of a run on a host that is not the first of several."""
State = Literal["running", "done", "failed", "stopped", "lost"]

_FIELDS = 9  # of a line that describes a job


@dataclass(frozen=True, kw_only=True)
class Job:
    """A long command on the remote machine, as it was when it was asked for."""

    id: str
    """When it was started, in the time of the machine; two in one second get a number."""
    kind: Kind
    name: str
    state: State
    """`lost` means that it ended without a word: killed, or the machine was restarted."""
    started: datetime
    ended: datetime | None
    exit_code: int | None
    host: str
    """The machine it was started on: an alias may lead to several that share their disks."""
    duration: timedelta
    """How long it took, or has run so far."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state != "running"


def parse_jobs(lines: Sequence[Sequence[str]]) -> list[Job]:
    """Return the jobs that the scripts describe, from the fields of what they print."""
    times = [int(fields[1]) for fields in lines if fields[0] == "now"]
    described = [fields for fields in lines if len(fields) == _FIELDS]
    return [_parse(fields, now=times[0]) for fields in described]


def _parse(fields: Sequence[str], *, now: int) -> Job:
    """Return the job that one line of the scripts' output describes."""
    job_id, kind, start, runner, code, ended, stopped, host, name = fields
    exit_code = None if code == "-" else int(code)
    end = None if ended == "-" else int(ended)
    state: State
    if exit_code is None and runner == "there":
        state = "running"
    elif stopped == "stopped":
        state = "stopped"  # some commands end with exit code 0 when they are asked to end
    elif exit_code is None:
        state = "lost"
    else:
        state = "done" if exit_code == 0 else "failed"
    return Job(
        id=job_id,
        kind=cast(Kind, kind),
        name=name,
        state=state,
        started=datetime.fromtimestamp(int(start), UTC),
        ended=None if end is None else datetime.fromtimestamp(end, UTC),
        exit_code=exit_code,
        host=host,
        duration=timedelta(seconds=(now if end is None else end) - int(start)),
    )
