"""The requested nodes, as the login node describes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .. import answers
from ..jobs.job import Job, parse_answer
from ..machine import Machine
from ..scripts import run_script
from ..ssh.compute_nodes import NODE
from ..ui.text import in_one_line
from ..ui.words import duration_in_words

__all__ = ["Node", "find_node", "left_in_words", "list_nodes", "parse_nodes"]

_LEFT = re.compile(r"(?:([0-9]{1,4})-)?(?:(?:([0-9]{1,2}):)?([0-9]{1,2}):)?([0-9]{1,2})")
_DIGITS = re.compile(r"[0-9]{1,10}")
_FIELDS = 9


@dataclass(frozen=True, kw_only=True)
class Node:
    """A requested node, and its job."""

    name: str
    job: Job
    word: str
    """`ready` when it takes logins; else why not, or nothing while it is not known."""
    host: str
    """The node's own name; empty until the job runs."""
    left: timedelta | None
    """How long the job may still run, or may run at most while it waits."""
    begins: datetime | None
    """When Slurm expects it to begin."""
    place: tuple[int, int] | None
    """Its place among the jobs that wait for the same partition, and how many wait."""
    said: str
    """What the program said that cannot be run there."""
    within: tuple[Job, ...] = ()
    """What runs on it and ends with it, where that was asked for."""

    @property
    def is_ready(self) -> bool:
        """Whether it takes logins."""
        return self.job.state == "running" and self.word == "ready"

    @property
    def number(self) -> str:
        """Slurm's number of its job."""
        return "" if self.job.slurm is None else self.job.slurm.id


def list_nodes(machine: Machine, name: str = "") -> list[Node]:
    """Return the nodes that were asked for on a login node, by name; only `name` if given.

    Raises LabError.
    """
    return parse_nodes(run_script(machine, "list-nodes", *([name] if name else [])).stdout)


def find_node(machine: Machine, name: str) -> Node | None:
    """Return the node of this name, with what runs on it. Raises LabError."""
    return next(iter(parse_nodes(run_script(machine, "list-nodes", name, "within").stdout)), None)


def parse_nodes(text: str) -> list[Node]:
    """Read what the script has printed. Lines that cannot be read are left out."""
    jobs = {job.id: job for job in parse_answer(text).jobs}
    return sorted(_nodes(text, jobs), key=lambda node: node.name)


def _within(text: str, jobs: dict[str, Job], job_id: str) -> tuple[Job, ...]:
    lines = (line.split("\t") for line in text.split("\n"))
    found = (one[2] for one in lines if one[:2] == ["within", job_id] and len(one) == 3)
    return tuple(jobs[one] for one in found if one in jobs)


def _nodes(text: str, jobs: dict[str, Job]) -> Iterator[Node]:
    for line in text.split("\n"):
        word, *fields = line.split("\t")
        if word != "node" or len(fields) != _FIELDS:
            continue
        name, job_id, state, host, left, begins, place, of, said = fields
        if job_id not in jobs or not answers.is_a(NODE, name):
            continue
        is_placed = _DIGITS.fullmatch(place) and _DIGITS.fullmatch(of)
        yield Node(
            name=name,
            job=jobs[job_id],
            word=state if answers.is_a(answers.WORD, state) else "",
            host=host if answers.is_a(answers.HOST, host) and host != "-" else "",
            left=_duration(left),
            begins=datetime.fromtimestamp(int(begins), UTC) if _DIGITS.fullmatch(begins) else None,
            place=(int(place), int(of)) if is_placed else None,
            said=in_one_line(said),
            within=_within(text, jobs, job_id),
        )


def _duration(text: str) -> timedelta | None:
    """Return a time as Slurm writes it; None for words such as UNLIMITED."""
    found = _LEFT.fullmatch(text)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(one or 0) for one in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def left_in_words(node: Node) -> str:
    """Return how long the job of a node may still run, as a part of a sentence."""
    return "no time limit" if node.left is None else f"{duration_in_words(node.left)} left"
