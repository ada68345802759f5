"""What Slurm says of a cluster: its partitions with their free cards, and a person's jobs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from .answers import SLURM_ID, SLURM_STATE, is_a
from .jobs.job import SlurmJob
from .jobs.slurm_messages import waiting
from .ui.text import in_one_line

__all__ = ["ClusterJob", "Partition", "cluster_lines", "parse_cluster_jobs", "parse_partitions"]

_WIDTHS = (60, 80, 20, 20, 200, 200, 10)  # of sinfo's columns, as cluster.sh asks for them
_CARDS = re.compile(r"\bgpu:(?:([\w.-]+|\(null\)):)?(\d{1,4})(?=[(,]|$)")
_USABLE = ("idle", "mix", "alloc", "comp")
"""How the states of nodes begin that run jobs, unless one of the signs is behind it."""
_BROKEN = re.compile(r"[*$@^!%]$")
_MARKS = "~#+-"  # asleep, waking up, and the like: it is available


@dataclass(kw_only=True)
class Partition:
    """A partition, and which of its cards are free now."""

    name: str
    time: str
    """How long a job may take at most, in Slurm's words."""
    nodes: int = 0
    """How many of its nodes run jobs."""
    idle: int = 0
    of_all: int = 0
    """How many nodes it has, whatever their state."""
    most_cards: int = 0
    """How many cards the best of them has."""
    is_default: bool = False
    cards: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How many cards of each kind these nodes have."""
    free: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How many of them no job has."""


@dataclass(frozen=True, kw_only=True)
class ClusterJob:
    """A job of the person's, of any project."""

    slurm: SlurmJob
    partition: str
    name: str
    time_left: str
    node: str


def parse_partitions(output: str) -> list[Partition]:
    """Return the partitions in what cluster.sh printed."""
    found: dict[str, Partition] = {}
    for line in output.split("\n"):
        if not line.startswith("slurm-node\t"):
            continue
        name, _, state, time, cards, used, is_open = _columns(line.removeprefix("slurm-node\t"))
        is_default = name.endswith("*")
        name = in_one_line(name).rstrip("*")
        if not name:
            continue
        one = found.setdefault(name, Partition(name=name, time=in_one_line(time)))
        one.is_default = is_default
        one.of_all += 1
        one.most_cards = max(one.most_cards, sum(_cards(cards).values()))
        state = state.rstrip(_MARKS)
        if is_open not in ("up", "") or not state.startswith(_USABLE) or _BROKEN.search(state):
            continue
        one.nodes += 1
        one.idle += state == "idle"
        taken = _cards(used)
        for kind, number in _cards(cards).items():
            one.cards[kind] += number
            one.free[kind] += max(0, number - taken.get(kind, 0))
    return list(found.values())


def _columns(line: str) -> Iterator[str]:
    for width in _WIDTHS:
        yield line[:width].strip()
        line = line[width:]


def _cards(text: str) -> dict[str, int]:
    """Return how many cards of each kind `gpu:a100:4(S:0-1),gpu:v100:2` names; "" is any kind."""
    found: dict[str, int] = defaultdict(int)
    for kind, number in _CARDS.findall(text):
        found["" if kind == "(null)" else in_one_line(kind)] += int(number)
    return found


def parse_cluster_jobs(output: str) -> list[ClusterJob]:
    """Return the person's jobs in what cluster.sh printed; lines that cannot be one are left."""
    found = []
    for line in output.split("\n"):
        fields = line.removeprefix("slurm-job\t").split("|", 6)
        if not line.startswith("slurm-job\t") or len(fields) != 7:
            continue
        number, partition, state, left, node, reason, name = map(in_one_line, fields)
        if number.partition("_")[0].isdecimal() and is_a(SLURM_STATE, state):
            known = number if is_a(SLURM_ID, number) else number.partition("_")[0]
            job = SlurmJob(id=known, state=state, reason="" if reason == "None" else reason)
            found.append(
                ClusterJob(slurm=job, partition=partition, name=name, time_left=left, node=node)
            )
    return found


def cluster_lines(partitions: list[Partition], jobs: list[ClusterJob]) -> Iterator[str]:
    """Yield the cluster as lines of `lab status`."""
    for one in partitions:
        yield f"Partition   {one.name}: {_free(one)}; at most {one.time}"
    for job in jobs:
        if job.slurm.state == "PENDING":
            how = waiting(job.slurm) or "waits"
        else:
            how = f"{job.slurm.state.lower()} on {job.node}, {job.time_left} left"
        yield f"Slurm job   {job.slurm.id}  {job.name} ({job.partition}): {how}"


def _free(one: Partition) -> str:
    """Return what of a partition is free, in words."""
    if not one.nodes:
        return "no node accepts jobs"
    nodes = f"{one.idle} of {one.nodes} nodes idle"
    total = sum(one.cards.values())
    if not total:
        return f"{nodes}, no cards"
    kinds = [
        f"{one.free[kind]} of {number} {kind}" for kind, number in sorted(one.cards.items()) if kind
    ]
    detail = f" ({', '.join(kinds)})" if kinds else ""
    return f"{sum(one.free.values())} of {total} cards free{detail}, {nodes}"
