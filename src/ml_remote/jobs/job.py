"""A long command on the remote machine, and how the scripts there describe one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from .. import answers
from ..settings import FORMAT
from ..ui.text import in_one_line
from .about import About, NewerFormatError, Run

__all__ = ["Answer", "Job", "SlurmJob", "State", "parse_answer"]

State = Literal["queued", "running", "unknown", "done", "failed", "stopped", "lost"]

_FIELDS = 10  # of a line that describes a job, behind the word `job`
_PLACE = re.compile(r"[0-9]{1,6}")
_LATEST = 2**33  # seconds since 1970: in the year 2242
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
    about: About
    state: State
    """`lost` means that it ended without a word: killed, or the machine was restarted; `unknown`
    that Slurm runs it and does not answer."""
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
    place: tuple[int, int] | None = None
    """Its place in the line for cards, and how many wait there."""
    code: str = ""
    """What is to be said of the code that it uses, as the end of a sentence."""
    requeues: int = 0
    """How often Slurm has put it back into its queue."""
    silent_since: datetime | None = None
    """Since when the other machine that runs it has given no sign of life, when that is long."""

    @property
    def kind(self) -> str:
        """What kind of job it is; see About."""
        return self.about.kind

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return self.about.title

    @property
    def run(self) -> Run:
        """What it runs, and how; only a run, and a worker of one, has this."""
        assert self.about.run is not None, f"{self.id} is not a run"
        return self.about.run

    @property
    def is_requeued(self) -> bool:
        """Whether it has run, and waits to run again."""
        return self.state == "queued" and self.requeues > 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state not in ("queued", "running", "unknown")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a script on the machine printed about jobs."""

    host: str
    """The machine that answered."""
    jobs: tuple[Job, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    """The ids of jobs that cannot be read, and why, as the end of a sentence."""


def parse_answer(text: str) -> Answer:
    """Read what a script printed; lines about other things are left alone."""
    lines = [line.split("\t", _FIELDS) for line in text.split("\n")]
    now, host = next((one[1:3] for one in lines if one[0] == "now" and len(one) == 3), ("0", ""))
    if host:
        answers.checked(answers.HOST, host)
    places, remarks, requeues = _places(lines), _remarks(lines), _requeues(lines)
    jobs: list[Job] = []
    faults: dict[str, str] = {}
    for word, *described in lines:
        if word == "odd" and described:
            faults[in_one_line(described[0])] = "its folder does not have the name of a job"
        if word == "shut" and described:
            faults[in_one_line(described[0])] = "its folder cannot be read"
        if word != "job" or len(described) != _FIELDS:
            continue
        fields = [*map(in_one_line, described[:-1]), described[-1]]
        try:
            job = _parse(fields, now=answers.number(now, most=_LATEST), here=host)
            place, remark = places.get(job.id), remarks.get(job.id, "")
            jobs.append(replace(job, place=place, code=remark, requeues=requeues.get(job.id, 0)))
        except NewerFormatError as error:
            faults[fields[0]] = (
                f"a newer version of lab started it (format {error}; this version knows formats up "
                f"to {FORMAT})"
            )
        except (ValueError, answers.UnusableAnswerError):
            faults[fields[0]] = "its description is damaged"
    return Answer(host=host, jobs=tuple(jobs), faults=faults)


def _places(lines: Sequence[Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Return the place in line of each job that waits for cards; what cannot be one is left out."""
    return {
        one[1]: (int(one[2]), int(one[3]))
        for one in lines
        if one[0] == "line" and len(one) == 4 and all(map(_PLACE.fullmatch, one[2:]))
    }


def _requeues(lines: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return how often jobs were put back into the queue; what cannot be a number is left out."""
    return {
        one[1]: int(one[2])
        for one in lines
        if one[0] == "requeues" and len(one) == 3 and _PLACE.fullmatch(one[2])
    }


def _remarks(lines: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return what is to be said of the code that jobs use."""
    return {one[1]: in_one_line(one[2]) for one in lines if one[0] == "code" and len(one) == 3}


def _parse(fields: Sequence[str], *, now: int, here: str) -> Job:
    """Return the job that one line describes. Raises ValueError when it cannot be read."""
    job_id, start, runner, code, ended, stopped, host, said, form, text = fields
    began = answers.number(start, most=_LATEST)
    runner, _, silent = runner.partition(":")
    quiet = answers.number(silent, most=now) if silent else None
    exit_code = None if code == "-" else answers.number(code, most=255)
    end = None if ended == "-" else answers.number(ended, most=_LATEST)
    slurm = _slurm_job(said)
    word = "" if slurm is None else slurm.state
    if form == "json":
        about = About.from_json(text)
    else:
        about = About.from_vendored_text(text, in_slurm=slurm is not None)
    return Job(
        id=answers.checked(answers.JOB, job_id),
        about=about,
        state=_state(runner, exit_code, stopped=stopped == "stopped", word=word),
        started=datetime.fromtimestamp(began, UTC),
        ended=None if end is None else datetime.fromtimestamp(end, UTC),
        exit_code=exit_code,
        host=host if host == "-" else answers.checked(answers.HOST, host),
        duration=timedelta(seconds=max(0, (now if end is None else end) - began)),
        slurm=slurm,
        is_here=host == here,
        silent_since=None if quiet is None else datetime.fromtimestamp(now - quiet, UTC),
    )


def _state(runner: str, exit_code: int | None, *, stopped: bool, word: str) -> State:
    """Return the state of a job; `word` is Slurm's, which knows more than the exit code tells."""
    if runner == "waits":
        return "queued"
    if runner in ("there", "silent"):
        return "unknown" if word == "UNKNOWN" else "running"
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
    number, state, reason = (*said.split(" ", 2), "", "")[:3]
    return SlurmJob(
        id=answers.checked(answers.SLURM_ID, number),
        state=answers.checked(answers.SLURM_STATE, state),
        reason="" if reason.strip() == "None" else reason.strip(),
    )
