"""Merging the states of one sweep from several machines, and dividing its sets among them.

Each machine has a folder of the sweep's id with its own sets, and the list of those that the others
have. Machines that share their disk have one folder together. What a lost machine had can be given
to the others; what it does from then on does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from .state import Sweep

__all__ = ["divide", "merge_parts"]

T = TypeVar("T")


def merge_parts(sweeps: Iterable[Sweep]) -> list[Sweep]:
    """Return each sweep once: what several machines tell of one is put together."""
    groups: dict[tuple[str, str], list[Sweep]] = {}
    for number, sweep in enumerate(sweeps):
        own = sweep.part.partition("-")[0] or str(number)
        groups.setdefault((sweep.id, own), []).append(sweep)
    return [_whole(group) for group in groups.values()]


def divide(items: Sequence[T], weights: Sequence[int]) -> list[list[T]]:
    """Divide items among machines in proportion to how many each runs at once."""
    shares: list[list[T]] = [[] for _ in weights]
    for item in items:
        least = min(range(len(weights)), key=lambda one: (len(shares[one]) + 1) / weights[one])
        shares[least].append(item)
    return shares


def _whole(group: Sequence[Sweep]) -> Sweep:
    """Return the sweep of which these machines tell."""
    first = group[0]
    if len(group) == 1 and not first.run.spread:
        return first
    given = frozenset().union(*(one.given for one in group))
    folders = {one.part: one for one in group if one.place not in given}
    counted = list(folders.values())
    known = {one.place for one in group}
    elsewhere: dict[str, int] = {}
    for one in group:
        for alias, count in one.elsewhere.items():
            if alias not in known and alias not in given:
                elsewhere[alias] = max(count, elsewhere.get(alias, 0))
    workers = {(job.id, job.host): job for one in group for job in one.workers}
    ended = [one.last_ended for one in counted if one.last_ended is not None]
    reasons = [one.why for one in counted if one.why != "-"]
    return replace(
        first,
        at_once=sum(one.at_once for one in counted),
        started=min(one.started for one in group),
        now=max(one.now for one in group),
        total=sum(one.total for one in counted) + sum(elsewhere.values()),
        done=sum(one.done for one in counted),
        failed=sum(one.failed for one in counted),
        seconds=sum(one.seconds for one in counted),
        begun=sum(one.begun for one in counted),
        last_ended=max(ended, default=None),
        why=reasons[0] if reasons else "-",
        workers=list(workers.values()),
        elsewhere=elsewhere,
        given=given,
        parts=list(group),
    )
