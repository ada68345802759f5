"""The state of a sweep, as the scripts on the machine report it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from ... import answers
from ...jobs.about import About, DamagedError, NewerFormatError, Run
from ...jobs.job import Job
from ...machine import Machine
from ...parsing import parse_json
from ...ssh.address import alias_fault
from ...ui.text import in_one_line, without_colours
from .expanding import MOST_SETS, ParameterSet

__all__ = ["Outcome", "Sets", "State", "Sweep", "duration_left", "parse_sets", "parse_sweeps"]

State = Literal["running", "queued", "done", "failed", "stopped", "interrupted", "unknown"]

_FIELDS = 12  # of a line that describes a sweep, behind the word `sweep`
_LATEST = 2**33  # seconds since 1970: in the year 2242
_LONGEST_LINE = 300  # characters of what a set said at last


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep, as it was when it was asked for."""

    id: str
    machine: Machine
    about: About
    at_once: int
    """How many workers were asked for; 0 leaves it to Slurm."""
    started: datetime
    now: datetime
    total: int
    done: int
    failed: int
    seconds: int
    """How long the sets that have ended took, together."""
    begun: int
    """Sets that a worker has claimed and not ended."""
    last_ended: datetime | None
    why: str
    """`-`, `stopped` by a person, or by `failures`, or for want of `proposals`."""
    workers: Sequence[Job] = ()
    """Its jobs, those that are over included."""
    part: str = ""
    """What its folder there is called by those that share it; empty in older versions."""
    place: str = ""
    """The alias of the machine that has this part, as it was called at the start."""
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    """How many sets are on other machines; of the whole sweep: on those that did not answer."""
    given: frozenset[str] = frozenset()
    """The machines whose sets were given to others."""
    parts: Sequence[Self] = ()
    """What each machine tells, where several have parts of it."""

    @property
    def run(self) -> Run:
        """What it runs, and how."""
        assert self.about.run is not None
        return self.about.run

    @property
    def living(self) -> list[Job]:
        """The workers that are not over.

        Once all sets have ended, one on another machine that shares the disk does not count: it
        may be lost, and nothing is left for it.
        """
        return [job for job in self.workers if not job.is_over and (self.left or job.is_here)]

    @property
    def each(self) -> Sequence[Self]:
        """What each machine tells of it."""
        return self.parts or (self,)

    @property
    def folders(self) -> Sequence[Self]:
        """What each folder of it tells that counts: those of a shared disk are one."""
        own = {one.part: one for one in self.each if one.place not in self.given}
        return list(own.values())

    @property
    def where(self) -> str:
        """The machines that have it, in words."""
        return ", ".join(dict.fromkeys(one.machine.alias for one in self.each))

    @property
    def is_over(self) -> bool:
        """Whether nobody is at work."""
        return not self.living

    @property
    def left(self) -> int:
        """How many sets have not ended."""
        return max(0, self.total - self.done - self.failed)

    @property
    def running(self) -> int:
        """How many sets run now."""
        if self.is_over:
            return 0
        in_slurm = any(job.slurm is not None for job in self.living)
        return min(self.begun, self.left) if in_slurm else min(self.begun, len(self.living))

    @property
    def state(self) -> State:
        """Its state in a word; `interrupted`: there are sets left, and nobody works on them."""
        if self.living:
            if any(job.state == "running" for job in self.living):
                return "running"
            return "queued" if any(job.state == "queued" for job in self.living) else "unknown"
        if self.left:
            return "interrupted" if self.why == "-" else "stopped"
        return "failed" if self.failed else "done"

    @property
    def duration(self) -> timedelta:
        """How long it has run; to its last set where nobody is at work."""
        end = self.now if self.living else self.last_ended or self.started
        return max(timedelta(), end - self.started)

    def line(self) -> str:
        """Return how far it is: `31 of 45 done, 2 running, 1 failed, about 20 min left`."""
        parts = [f"{self.done} of {self.total} done"]
        if self.running:
            parts.append(f"{self.running} running")
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts += [f"{count} unknown on {alias}" for alias, count in self.elsewhere.items()]
        left = duration_left(self)
        if left is not None:
            parts.append(f"about {left} left")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one set ended."""

    exit_code: int | None
    """None: its workers died one after the other."""
    seconds: float
    said: str
    """Its last line, where it failed."""
    value: float | None = None
    """What it has reached, where sets are proposed."""


@dataclass(frozen=True, kw_only=True)
class Sets:
    """All sets of a sweep."""

    parameters: Mapping[int, ParameterSet]
    outcomes: Mapping[int, Outcome]
    begun: frozenset[int]
    elsewhere: Mapping[tuple[int, str], ParameterSet] = field(default_factory=dict)
    """Those that another machine has, by number and alias; of a sweep, one that is silent."""
    reason: str = ""
    """What the sets said that stopped the sweep by failing, or what proposes them."""

    def only(self, number: int) -> Self:
        """Return what is known of one set; nothing where there is none."""
        return replace(
            self,
            parameters={one: own for one, own in self.parameters.items() if one == number},
            outcomes={one: own for one, own in self.outcomes.items() if one == number},
        )


def duration_left(sweep: Sweep) -> str | None:
    """Return about how long the rest takes, in words; None while nobody can tell."""
    ended = sweep.done + sweep.failed
    if not ended or not sweep.running or not sweep.left:
        return None
    seconds = sweep.seconds / ended * sweep.left / max(1, sweep.running)
    if seconds < 90:
        return "1 min"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def parse_sweeps(text: str, *, machine: Machine, workers: Sequence[Job]) -> list[Sweep]:
    """Return the sweeps that a script described; one that cannot be read is left out."""
    lines = [line.split("\t", _FIELDS) for line in text.split("\n")]
    now = next((line[1] for line in lines if line[0] == "now" and len(line) > 1), "0")
    found = []
    for word, *fields in lines:
        if word != "sweep" or len(fields) != _FIELDS:
            continue
        try:
            found.append(_parse(fields, now=now, machine=machine, workers=workers))
        except (ValueError, NewerFormatError, answers.UnusableAnswerError):
            continue
    return found


def parse_sets(text: str) -> Sets:
    """Return the sets that a script told of; what cannot be read is left out."""
    parameters: dict[int, ParameterSet] = {}
    outcomes: dict[int, Outcome] = {}
    begun: set[int] = set()
    elsewhere: dict[tuple[int, str], ParameterSet] = {}
    reason = ""
    for line in text.split("\n"):
        word, _, rest = line.partition("\t")
        try:
            if word == "begun":
                begun.add(_number(rest))
            elif word == "elsewhere":
                alias, _, one = rest.partition("\t")
                values = parse_json(one)
                key = (_number(values["set"]), _place(alias))
                elsewhere[key] = _pairs(values["parameters"])
            elif word in ("set", "outcome", "stopped"):
                values = parse_json(rest)
                if word == "set":
                    parameters[_number(values["set"])] = _pairs(values["parameters"])
                elif word == "outcome":
                    outcomes[_number(values["set"])] = _outcome(values)
                else:
                    reason = _said(values.get("said", ""))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        except answers.UnusableAnswerError:
            continue
    return Sets(
        parameters=parameters,
        outcomes=outcomes,
        begun=frozenset(begun),
        elsewhere=elsewhere,
        reason=reason,
    )


def _parse(fields: Sequence[str], *, now: str, machine: Machine, workers: Sequence[Job]) -> Sweep:
    """Return the sweep that one line describes. Raises ValueError and UnusableAnswerError."""
    sweep_id, start, total, done, failed, seconds, ended, begun, why, there, given, text = fields
    about = About.from_json(text)
    if about.run is None or not about.run.swept:
        raise DamagedError(text)
    own, values = answers.checked(answers.JOB, sweep_id), parse_json(text)
    last = answers.number(ended, most=_LATEST)
    return Sweep(
        id=own,
        machine=machine,
        about=about,
        at_once=answers.number(values.get("at_once", 1), most=MOST_SETS),
        started=_moment(start),
        now=_moment(now),
        total=_number(total),
        done=_number(done),
        failed=_number(failed),
        seconds=answers.number(seconds),
        begun=_number(begun),
        last_ended=datetime.fromtimestamp(last, UTC) if last else None,
        why=why if why in ("-", "failures", "proposals") else "stopped",
        workers=[job for job in workers if job.run.sweep == own],
        part=_part(values.get("part", "")),
        place=_place(values.get("place") or machine.alias),
        elsewhere={_place(name): _number(count) for name, count in _counts(there)},
        given=frozenset(_place(name) for name, _ in _counts(given)),
    )


def _part(value: object) -> str:
    """Return what a folder is called. Raises ValueError."""
    if value != "" and not answers.is_a(answers.NAME, value):
        raise ValueError(value)
    return str(value)


def _place(value: object) -> str:
    """Return an alias. Raises ValueError for what is none."""
    if not isinstance(value, str) or alias_fault(value) is not None:
        raise ValueError(value)
    return value


def _counts(text: str) -> list[tuple[str, str]]:
    """Return the aliases and numbers of `a=2 b=3`."""
    pairs = [word.partition("=") for word in text.split()]
    return [(name, count or "0") for name, _, count in pairs if name != "-"]


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(answers.number(seconds, most=_LATEST), UTC)


def _number(answer: object) -> int:
    return answers.number(answer, most=10 * MOST_SETS)


def _pairs(value: Iterable[tuple[object, str]]) -> ParameterSet:
    return tuple(
        (answers.checked(answers.VARIABLE, name), in_one_line(text)) for name, text in value
    )


def _outcome(values: Mapping[str, Any]) -> Outcome:
    code = answers.number(values["exit_code"], least=-1, most=255)
    return Outcome(
        exit_code=None if code < 0 else code,
        seconds=float(values["seconds"]),
        said=_said(values["said"]),
        value=_value(values.get("value")),
    )


def _value(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]


def _said(value: object) -> str:
    return in_one_line(without_colours(value))[:_LONGEST_LINE] if isinstance(value, str) else ""
