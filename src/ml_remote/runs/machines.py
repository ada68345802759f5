"""The machines that have runs: the one in `lab.toml`, and those that runs were sent to by name.

The latter are remembered in `.lab/run-hosts`, one alias a line. That file belongs to this computer:
git does not know it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from .. import jobs
from ..context import Context
from ..errors import LabError, NoNodeError
from ..jobs.job import Job
from ..machine import Machine
from ..project import Project
from ..ssh.address import alias_fault
from ..state import make_state
from ..ui.console import Console

__all__ = ["RemoteJob", "find_jobs", "machines_with_runs", "remember_machine"]

_MEMORY = "run-hosts"


@dataclass(frozen=True, kw_only=True)
class RemoteJob:
    """A job, and the machine that keeps it."""

    machine: Machine
    job: Job


def remember_machine(project: Project, alias: str) -> None:
    """Add this machine to those that `lab runs` asks."""
    path = make_state(project.state) / _MEMORY
    if alias not in _remembered(project):
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{alias}\n")


def find_jobs(context: Context, alias: str | None, *kinds: str) -> list[RemoteJob]:
    """Return the jobs of these kinds on the machine `alias`, the oldest first.

    None stands for the machine of `lab.toml` and those that are remembered; of these, one that
    cannot be asked is named in a warning. Raises LabError when there is nobody to answer.
    """
    console = context.console
    machines = machines_with_runs(context, alias)
    first = machines[0]
    answers = _answers(machines, console)
    faults = [
        (machine, answer)
        for machine, answer in zip(machines, answers, strict=True)
        if isinstance(answer, LabError)
    ]
    if len(faults) == len(machines):
        raise faults[0][1]
    for machine, fault in faults:
        if isinstance(fault, NoNodeError):
            continue  # the login node tells of its runs
        console.warn(f"The runs on {machine.alias} are missing from this list: {fault.message}")
        if machine is not first:
            console.note(f"If it is gone for good, remove its name from .lab/{_MEMORY}.")
    # Two machines that share their disks tell of the same jobs; the one that runs it can end it.
    found: dict[tuple[str, str], RemoteJob] = {}
    for machine, answer in zip(machines, answers, strict=True):
        for job in [] if isinstance(answer, LabError) else answer:
            other = found.get((job.id, job.host))
            if job.kind in kinds and (other is None or (job.is_here and not other.job.is_here)):
                found[job.id, job.host] = RemoteJob(machine=machine, job=job)
    return sorted(found.values(), key=lambda one: (one.job.started, one.job.id))


def _answers(machines: list[Machine], console: Console) -> list[list[Job] | LabError]:
    """Return the answer of each; one alone is asked without a thread, which Ctrl-C waits for."""
    if len(machines) == 1:
        return [_ask(console, machines[0])]
    with ThreadPoolExecutor(max_workers=len(machines)) as pool:
        return list(pool.map(partial(_ask, console), machines))


def machines_with_runs(context: Context, alias: str | None) -> list[Machine]:
    """Return the machine `alias`; None stands for that of `lab.toml` and those remembered."""
    first = context.machine(alias)
    known = _remembered(context.project) if alias is None else []
    return [first, *(context.one_of_several(name) for name in known if name != first.alias)]


def _remembered(project: Project) -> list[str]:
    try:
        text = (project.state / _MEMORY).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [name for name in dict.fromkeys(text.split()) if alias_fault(name) is None]


def _ask(console: Console, machine: Machine) -> list[Job] | LabError:
    try:
        # Whoever is asked for a password here could not know by which of the machines.
        client = machine.client.with_options("BatchMode=yes")
        return jobs.list_jobs(replace(machine, client=client), console=console)
    except LabError as error:
        return error
