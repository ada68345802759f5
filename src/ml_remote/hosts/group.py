"""The jobs of one run on several hosts: starting, finding, following and ending them together.

The first host, that of rank 0, has a job of kind `run`, whose id is that of the run; each of the
others has one of kind `worker`, which names the run and the host. Rank 0's job is started first: a
run that was begun is always listed, and one whose laptop then died ends by itself.
"""

from __future__ import annotations

import queue
import secrets
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from ..errors import LabError, LoginRefusedError, UnreachableError
from ..installing import ensure_far, far_folder
from ..machine import Machine, read_machine
from ..runs import jobs
from ..runs.job import Job
from ..runs.labs import Lab, hosts_of, output_folder
from ..runs.resuming import taking_checkpoint
from ..ui.console import Console
from .addresses import Seat

__all__ = ["End", "Part", "find_parts", "follow_parts", "start_parts", "stop_parts"]

_LAST_LINES = 20
_GRACE = 3.0  # seconds that the others get to end by themselves when one has failed
_LAST_TO_END = 30.0  # the same when one has come to its end
_QUICK = ("ControlPath=none", "ConnectTimeout=5", "BatchMode=yes")


@dataclass(frozen=True, kw_only=True)
class Part:
    """What runs on one host."""

    machine: Machine
    job: Job


@dataclass(kw_only=True)
class End:
    """How a part ended, as far as it is known."""

    part: Part
    outcome: Job | LabError | None = None
    """None while it goes on; an error when the host could not be asked any more."""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    """The last that it printed."""

    @property
    def has_failed(self) -> bool:
        """Whether it is known to have ended before its time."""
        return isinstance(self.outcome, Job) and self.outcome.state != "done"


def start_parts(
    lab: Lab, seats: Sequence[Seat], *, processes: int | None, max_restarts: int
) -> list[Part]:
    """Start a run on all hosts, rank 0's first. Raises LabError; then nothing of it goes on."""
    secret = secrets.token_hex()
    first, *others = seats
    parts: list[Part] = []

    def start(seat: Seat, *, run: str = "") -> None:
        folder = f"outputs/{shlex.quote(output_folder(lab.title))}/"
        command = (
            f'LAB_OUTPUT_DIR="$PWD"/{folder}{run or "$LAB_JOB"}\n'
            f"LAB_RENDEZVOUS_SECRET={secret}\n"
            "PYTHONUNBUFFERED=1 PYTHONIOENCODING=utf-8\n"
            "TORCH_CPP_LOG_LEVEL=${TORCH_CPP_LOG_LEVEL:-ERROR}\n"  # its warnings are harmless
            "export LAB_OUTPUT_DIR LAB_RENDEZVOUS_SECRET PYTHONUNBUFFERED PYTHONIOENCODING\n"
            "export TORCH_CPP_LOG_LEVEL\n"
            'mkdir -p "$LAB_OUTPUT_DIR" || exit\n'  # a worker keeps its checkpoints there
            f"{taking_checkpoint(lab)}"
            f"exec {shlex.join(_launch(lab, seat, seats, processes, max_restarts))}\n"
        )
        machine = seat.machine
        ensure_far(machine)
        name = f"{_mark(run, machine.alias)}{lab.title}" if run else lab.title
        kind: jobs.Kind = "worker" if run else "run"
        job = jobs.start(machine, kind=kind, name=name, command=command)
        parts.append(Part(machine=machine, job=job))

    try:
        start(first)
        run = parts[0].job.id
        for seat in others:
            start(seat, run=run)
    except BaseException:
        stop_parts(parts)
        raise
    return parts


def _launch(
    lab: Lab, seat: Seat, seats: Sequence[Seat], processes: int | None, max_restarts: int
) -> list[str]:
    """Return the command that runs the lab on one host."""
    options = ["--max-restarts", str(max_restarts)]
    if processes is not None:
        options += ["--processes", str(processes)]
    if len(seats) > 1:
        options += ["--hosts", str(len(seats)), "--own", seat.address]
        options += ["--interface", seat.interface]
        options += ["--meet", f"{seats[0].address}:{seats[0].port}"]
    return [".venv/bin/python", far_folder(), "launch", *options, *lab.words]


def _mark(run: str, alias: str) -> str:
    """Return how the name of a worker's job begins."""
    return f"{run} on {alias}: "


def find_parts(first: Part) -> tuple[list[Part], list[str]]:
    """Return all parts of a run, that of rank 0 first, and the hosts that could not be asked."""
    aliases = [name for name in hosts_of(first.job.name) if name != first.machine.alias]
    parts, silent = [first], []
    for alias in aliases:
        machine = read_machine(alias)
        try:
            known = jobs.list_jobs(machine, kind="worker")
        except LabError:
            silent.append(alias)
            continue
        mark = _mark(first.job.id, alias)
        parts += [Part(machine=machine, job=job) for job in known if job.name.startswith(mark)]
    return parts, silent


def stop_parts(parts: Sequence[Part]) -> tuple[list[Job], list[str]]:
    """End all parts at the same time; return them as they are then, and the hosts not reached."""

    def stop(part: Part) -> Job | None:
        # The shared connection may be one that nobody answers on any more.
        client = part.machine.client.with_options(*_QUICK)
        try:
            try:
                return jobs.stop(replace(part.machine, client=client), part.job.id)
            except LoginRefusedError:  # where a second factor is asked for, there is no other
                return jobs.stop(part.machine, part.job.id)
        except UnreachableError:
            return None

    with ThreadPoolExecutor(max_workers=max(1, len(parts))) as pool:
        ended = list(pool.map(stop, parts))
    silent = [part.machine.alias for part, job in zip(parts, ended, strict=True) if job is None]
    return [job for job in ended if job is not None], silent


def follow_parts(parts: Sequence[Part], *, on_line: Callable[[str], None]) -> list[End]:
    """Wait until the run is over everywhere, or lost somewhere; pass on what rank 0 prints.

    When one part has failed, the others get a moment to end; those that go on then are for the
    caller to end. Raises UnreachableError when no host can be reached for a long time.
    """
    ends = [End(part=part) for part in parts]
    news: queue.Queue[tuple[End, Job | LabError]] = queue.Queue()
    cancel = [jobs.Cancel() for _ in parts]
    for end, own in zip(ends, cancel, strict=True):
        take = partial(_take, end, on_line if end is ends[0] else None)
        threading.Thread(target=_follow, args=(end, take, own, news), daemon=True).start()
    try:
        deadline = float("inf")
        while any(end.outcome is None for end in ends) and time.monotonic() < deadline:
            try:
                end, outcome = news.get(timeout=0.2)
            except queue.Empty:
                continue
            end.outcome = outcome
            if isinstance(outcome, Job):
                wait = _GRACE if end.has_failed else _LAST_TO_END
                deadline = min(deadline, time.monotonic() + wait)
    finally:
        for own in cancel:
            own.set()
    faults = [end.outcome for end in ends if isinstance(end.outcome, LabError)]
    if len(faults) == len(ends):
        raise faults[0]
    return ends


def _take(end: End, on_line: Callable[[str], None] | None, line: str) -> None:
    end.lines.append(line)
    if on_line is not None:
        on_line(line)


def _follow(
    end: End,
    take: Callable[[str], None],
    cancel: jobs.Cancel,
    news: queue.Queue[tuple[End, Job | LabError]],
) -> None:
    """Follow one part to its end, in a thread of its own."""
    machine, job = end.part.machine, end.part.job
    quick = replace(machine, client=machine.client.with_options(*_QUICK[1:]))
    try:
        ended = jobs.follow(
            quick,
            job.id,
            console=Console(),
            on_line=take,
            again=f"lab attach {job.id}",
            cancel=cancel,
        )
        news.put((end, ended))
    except jobs.CancelledError:
        return
    except LabError as error:
        news.put((end, error))
    except Exception as error:  # else nobody would hear of it, and all would wait
        news.put((end, LabError(f"{machine.alias} cannot be followed: {error!r}")))
