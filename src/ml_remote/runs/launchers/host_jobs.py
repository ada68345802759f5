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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from ... import jobs
from ...context import Context
from ...errors import LabError, LoginRefusedError, UnreachableError
from ...far_half import ensure_far
from ...jobs.about import About, Run
from ...jobs.job import Job
from ...ssh.shared_connection import is_known_to_ask
from ...ui.console import Console
from ..machines import RemoteJob
from ..resuming import taking_checkpoint
from ..shell_lines import command_lines, record_lines, variable_lines
from .hosts import Host

__all__ = ["End", "find_jobs", "follow_jobs", "start_jobs", "stop_jobs"]

_LAST_LINES = 20
_GRACE = 3.0  # seconds that the others get to end by themselves when one has failed
_LAST_TO_END = 30.0  # the same when one has come to its end
_QUICK = ("ControlPath=none", "ConnectTimeout=5", "BatchMode=yes")


@dataclass(kw_only=True)
class End:
    """How a part ended, as far as it is known."""

    part: RemoteJob
    outcome: Job | LabError | None = None
    """None while it is in progress; an error when the host could not be asked any more."""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    """The last that it printed."""

    @property
    def has_failed(self) -> bool:
        """Whether it is known to have ended before its time."""
        return isinstance(self.outcome, Job) and self.outcome.state != "done"


def start_jobs(
    run: Run,
    hosts: Sequence[Host],
    *,
    max_restarts: int,
    folders: Sequence[str] = (),
    is_later: bool = False,
    secrets_of_run: Mapping[str, str] | None = None,
) -> list[RemoteJob]:
    """Start a run on all hosts, rank 0's first. Raises LabError; then nothing of it keeps running.

    With `is_later`, each host runs it from a checkout of its own.
    """
    secret = secrets.token_hex()
    first, *others = hosts
    parts: list[RemoteJob] = []

    def start(host: Host, *, part_of: str = "") -> None:
        machine = host.machine
        about = About(
            kind="run",
            title=run.title,
            run=run,
            far=ensure_far(machine),
            folders=() if is_later else tuple(folders),
        )
        if part_of:
            title = f"{part_of} on {machine.alias}: {run.title}"
            about = replace(
                about, kind="worker", title=title, part_of=part_of, host=machine.alias, folders=()
            )
        launch = [about.far, "launch", *_options(run, host, hosts)]
        launch += ["--max-restarts", str(max_restarts), *run.words]
        command = (
            _variables(run, part_of=part_of, secret=secret, folders=() if is_later else folders)
            + ("" if part_of else record_lines(about.far))
            + taking_checkpoint(run)
            + command_lines(f'"$python" {shlex.join(launch)}', far=about.far)
        )
        code = None
        if is_later:
            results = f"outputs/{run.output_folder}/{part_of}"
            code = jobs.Code(far=about.far, results=results, folders=tuple(folders))
        job = jobs.start(machine, about, command, code=code, secrets=secrets_of_run)
        parts.append(RemoteJob(machine=machine, job=job))

    try:
        start(first)
        for host in others:
            start(host, part_of=parts[0].job.id)
    except BaseException:
        stop_jobs(parts)
        raise
    return parts


def _variables(run: Run, *, part_of: str, secret: str, folders: Sequence[str]) -> str:
    """Return the lines of sh that set what a part finds in its environment."""
    return (
        variable_lines(
            run,
            part_of=part_of,
            folders=() if part_of else folders,
            LAB_RENDEZVOUS_SECRET=secret,
        )
        # torch's warnings are harmless.
        + 'export TORCH_CPP_LOG_LEVEL="${TORCH_CPP_LOG_LEVEL:-ERROR}"\n'
        'mkdir -p "$LAB_OUTPUT_DIR" || exit\n'  # a worker keeps its checkpoints there
    )


def _options(run: Run, host: Host, hosts: Sequence[Host]) -> list[str]:
    """Return what one host is to know of itself and of the others."""
    options = []
    if run.processes is not None:
        options += ["--processes", str(run.processes)]
    if len(hosts) > 1:
        options += ["--hosts", str(len(hosts)), "--own", host.address]
        options += ["--interface", host.interface]
        options += ["--rendezvous", f"{hosts[0].address}:{hosts[0].port}"]
    return options


def find_jobs(context: Context, first: RemoteJob) -> tuple[list[RemoteJob], list[str]]:
    """Return all parts of a run, that of rank 0 first, and the hosts that could not be asked."""
    aliases = [name for name in first.job.run.hosts if name != first.machine.alias]
    parts, silent = [first], []
    for alias in aliases:
        machine = context.machine(alias)
        try:
            known = jobs.list_jobs(machine, console=context.console, kind="worker")
        except LabError:
            silent.append(alias)
            continue
        parts += [
            RemoteJob(machine=machine, job=job)
            for job in known
            if (job.about.part_of, job.about.host) == (first.job.id, alias)
        ]
    return parts, silent


def stop_jobs(parts: Sequence[RemoteJob]) -> tuple[list[Job], list[str]]:
    """End all parts at the same time; return them as they are then, and the hosts not reached."""

    def stop(part: RemoteJob) -> Job | None:
        # The shared connection may be one that nobody answers on any more.
        client = part.machine.client
        if not is_known_to_ask(client):
            client = client.with_options(*_QUICK)
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


def follow_jobs(
    parts: Sequence[RemoteJob], *, console: Console, on_line: Callable[[str], None]
) -> list[End]:
    """Wait until the run is over everywhere, or lost somewhere; pass on what rank 0 prints.

    When one part has failed, the others get a moment to end; those that still run then are for the
    caller to end. Raises UnreachableError when no host can be reached for a long time.
    """
    ends = [End(part=part) for part in parts]
    news: queue.Queue[tuple[End, Job | LabError]] = queue.Queue()
    cancel = [jobs.Cancel() for _ in parts]
    for end, own in zip(ends, cancel, strict=True):
        take = partial(_take, end, on_line if end is ends[0] else None)
        threading.Thread(target=_follow, args=(console, end, take, own, news), daemon=True).start()
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
    console: Console,
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
            console=console,
            on_line=take,
            again=f"lab attach {job.about.part_of or job.id}",
            cancel=cancel,
        )
        news.put((end, ended))
    except jobs.CancelledError:
        return
    except LabError as error:
        news.put((end, error))
    except Exception as error:  # else nobody would hear of it, and all would wait
        news.put((end, LabError(f"{machine.alias} cannot be followed: {error!r}")))
