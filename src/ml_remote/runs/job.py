"""A long command on the remote machine, and how the scripts there describe one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

__all__ = ["Job", "Kind", "SlurmJob", "State", "parse_jobs"]

Kind = Literal["setup", "run", "worker", "jupyter", "tensorboard"]
"""A `worker` is the part of a run on a host that is not the first of several."""
State = Literal["queued", "running", "done", "failed", "stopped", "lost"]

_FIELDS = 10  # of a line that describes a job
_NO_ANSWER = ("", "GONE", "UNKNOWN")  # where Slurm cannot tell how a job ended


@dataclass(frozen=True, kw_only=True)
class SlurmJob:
    """What Slurm says of a job that it runs."""

    id: str
    state: str
    """Its own word, such as PENDING; UNKNOWN: it does not answer; GONE: it has forgotten."""
    reason: str
    """Why it waits or ended, in its own words; often empty."""


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
    """How long it took, or has run so far; or has waited in the queue."""
    slurm: SlurmJob | None = None
    is_here: bool = True
    """Whether the machine that answered is the one it was started on."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state not in ("queued", "running")


def parse_jobs(lines: Sequence[Sequence[str]]) -> list[Job]:
    """Return the jobs that the scripts describe, from the fields of what they print."""
    answers = [(int(fields[1]), fields[2]) for fields in lines if fields[0] == "now"]
    described = [fields for fields in lines if len(fields) == _FIELDS]
    return [_parse(fields, now=answers[0][0], here=answers[0][1]) for fields in described]


def _parse(fields: Sequence[str], *, now: int, here: str) -> Job:
    """Return the job that one line of the scripts' output describes."""
    job_id, kind, start, runner, code, ended, stopped, host, said, name = fields
    exit_code = None if code == "-" else int(code)
    end = None if ended == "-" else int(ended)
    slurm = _slurm_job(said)
    word = "" if slurm is None else slurm.state
    return Job(
        id=job_id,
        kind=cast(Kind, kind),
        name=name,
        state=_state(runner, exit_code, stopped=stopped == "stopped", word=word),
        started=datetime.fromtimestamp(int(start), UTC),
        ended=None if end is None else datetime.fromtimestamp(end, UTC),
        exit_code=exit_code,
        host=host,
        duration=timedelta(seconds=max(0, (now if end is None else end) - int(start))),
        slurm=slurm,
        is_here=host == here,
    )


def _state(runner: str, exit_code: int | None, *, stopped: bool, word: str) -> State:
    """Return the state of a job; `word` is Slurm's, which knows more than the exit code tells."""
    if runner == "waits":
        return "queued"
    if runner == "there":
        return "running"
    if word == "COMPLETED":
        return "done"
    if stopped:
        return "stopped"  # some commands end with exit code 0 when they are asked to end
    if word not in _NO_ANSWER:
        return "failed"
    if exit_code is None:
        return "lost"
    return "done" if exit_code == 0 else "failed"


def _slurm_job(said: str) -> SlurmJob | None:
    """Return the number, state and reason that the scripts have found; `-` stands for none."""
    if said == "-":
        return None
    number, state, *reason = said.split(" ", 2)
    words = reason[0].strip() if reason else ""
    return SlurmJob(id=number, state=state, reason="" if words == "None" else words)
