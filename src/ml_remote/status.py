"""`lab status`: how busy the remote machine is, and what of this project runs there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .context import Context
from .jobs import no_sign
from .jobs.document import job_document
from .jobs.job import Job, parse_answer
from .kernels_there import Kernels, kernel_document, parse_kernels
from .machine import Machine
from .next_steps import Known, read_environment, what_next
from .runs.listing import duration_in_words
from .scripts import ExitCode, check, script
from .sessions.kernels import about_kernels
from .sessions.open_ports import OpenPort, open_ports

__all__ = ["Gpu", "Load", "look_at", "parse", "status", "status_document"]

_DIGITS = re.compile(r"[0-9]{1,15}")
_DECIMAL = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{1,9})?")


@dataclass(kw_only=True)
class Gpu:
    """One GPU; `None` stands for what its driver does not tell. Memory is in MiB."""

    index: str
    name: str
    busy_percent: int | None
    used: int | None
    total: int | None
    users: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How much memory the processes of each user take."""


@dataclass(kw_only=True)
class Load:
    """How busy the machine is. Sizes are in KiB, unless they are a GPU's."""

    host: str = ""
    gpus: list[Gpu] = field(default_factory=list)
    gpu_fault: str = ""
    """Why nvidia-smi could say nothing, in its own words."""
    load: float | None = None
    """How many processes wanted to compute, on average over the last minute."""
    cores: int | None = None
    memory: tuple[int, int] | None = None
    """Free and total."""
    disk: tuple[int, int] | None = None
    """Free and total, where the project's folder lies."""
    jobs: list[Job] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    """The ids of jobs that cannot be read, and why."""
    kernels: Kernels = field(default_factory=Kernels)
    """Those of the project that outlive their window."""
    has_project: bool = True
    environment: Known = field(default_factory=Known)


def status(context: Context, *, alias: str | None = None, as_json: bool = False) -> None:
    """Carry out `lab status`. Raises UnreachableError."""
    machine, console = context.machine(alias), context.console
    load = look_at(machine)
    ways = [one for one in open_ports(context.project.state) if one.alias == machine.alias]
    if as_json:
        console.json(status_document(load, machine, ways))
        return
    console.say(f"{machine.alias} ({load.host})")
    for job_id, fault in load.faults.items():
        console.warn(f"Job {job_id} on {machine.alias} is skipped: {fault}.")
    for line in _lines(load, machine.folder):
        console.say(f"  {line}")
    going_on = [job for job in load.jobs if not job.is_over]
    for job in going_on:
        took = duration_in_words(job.duration)
        how_long = f"in the queue for {took}" if job.state == "queued" else f"for {took}"
        how_long = how_long if job.silent_since is None else no_sign(job)
        console.say(f"  {job.kind.capitalize():<12}{job.id}  {job.title}  ({how_long})")
    for line in about_kernels(load.kernels):
        console.say(f"  {line}")
    for one in ways:
        console.say(f"  Forward     http://127.0.0.1:{one.port} leads to {one.to} there")
    if not load.has_project:
        console.say(f"  This project is not there yet ({machine.folder}).")
        console.next_step(what_next(context, Known(is_sent=False)))
        return
    if not going_on and not load.kernels.all:
        console.say("  Nothing of this project is running there.")
    runs = [job for job in going_on if job.kind == "run"]
    known = replace(load.environment, running=[job.id for job in runs])
    console.next_step(what_next(context, known, after="lab status"))


def look_at(machine: Machine) -> Load:
    """Ask the machine, in one connection. Raises UnreachableError."""
    done = machine.client.run_script(script("status"), machine.folder, check=False)
    if done.returncode != ExitCode.NO_FOLDER:
        check(done.returncode, done.stderr.strip(), machine=machine)
    load = parse(done.stdout)
    load.has_project = done.returncode == 0
    return load


def parse(output: str) -> Load:
    """Return what the script has printed. Lines that it does not know are left out."""
    load = Load()
    gpus: dict[str, Gpu] = {}
    lines = [line.split("\t") for line in output.split("\n")]
    for fields in lines:
        match fields:
            case ["environment", *state]:
                load.environment = read_environment(state)
            case ["host", host]:
                load.host = host
            case ["gpu", uuid, index, name, busy, used, total]:
                gpus[uuid] = Gpu(
                    index=index,
                    name=name,
                    busy_percent=_number(busy),
                    used=_number(used),
                    total=_number(total),
                )
            case ["user", uuid, used, user] if uuid in gpus:
                gpus[uuid].users[user] += _number(used) or 0
            case ["gpu-fault", said]:
                load.gpu_fault = said
            case ["load", average, cores]:
                load.load, load.cores = _decimal(average), _number(cores)
            case ["memory", free, total]:
                load.memory = _pair(free, total)
            case ["disk", free, total]:
                load.disk = _pair(free, total)
    load.gpus = list(gpus.values())
    answer = parse_answer(output)
    load.jobs, load.faults = list(answer.jobs), dict(answer.faults)
    load.kernels = parse_kernels(output)
    return load


def status_document(load: Load, machine: Machine, ways: Sequence[OpenPort]) -> dict[str, Any]:
    """Return what `--json` prints; docs/contract.md lists the keys. Sizes are in bytes."""
    memory, disk = load.memory or (None, None), load.disk or (None, None)
    return {
        "alias": machine.alias,
        "folder": machine.folder,
        "host": load.host,
        "has_project": load.has_project,
        "has_environment": load.environment.has_environment and load.has_project,
        "gpus": [
            {
                "index": gpu.index,
                "name": gpu.name,
                "busy_percent": gpu.busy_percent,
                "memory_used": _bytes(gpu.used, 2**20),
                "memory_total": _bytes(gpu.total, 2**20),
                "memory_used_by": {user: used * 2**20 for user, used in gpu.users.items()},
            }
            for gpu in load.gpus
        ],
        "gpu_fault": load.gpu_fault or None,
        "load": load.load,
        "cores": load.cores,
        "memory_free": _bytes(memory[0], 2**10),
        "memory_total": _bytes(memory[1], 2**10),
        "disk_free": _bytes(disk[0], 2**10),
        "disk_total": _bytes(disk[1], 2**10),
        "jobs": [job_document(job) for job in load.jobs if not job.is_over],
        "damaged_jobs": load.faults,
        "kernels": [kernel_document(kernel) for kernel in load.kernels.all]
        if load.kernels.is_known
        else None,
        "at_logout": load.kernels.at_logout or None,
        "forwards": [asdict(one) for one in ways],
    }


def _bytes(number: int | None, unit: int) -> int | None:
    return None if number is None else number * unit


def _lines(load: Load, folder: str) -> Iterator[str]:
    """Yield the machine as lines of the report."""
    if load.gpu_fault:
        yield f"GPU         nvidia-smi fails: {load.gpu_fault}"
    elif not load.gpus:
        yield "GPU         none from NVIDIA (there is no nvidia-smi)"
    for gpu in load.gpus:
        yield f"GPU {gpu.index:<8}{', '.join(_about(gpu))}"
    if load.load is not None:
        yield f"Load        {load.load:.1f} on {load.cores or '?'} cores"
    if load.memory is not None:
        yield f"Memory      {_gib(load.memory[0])} of {_gib(load.memory[1])} GiB free"
    if load.disk is not None:
        yield f"Disk        {_gib(load.disk[0])} of {_gib(load.disk[1])} GiB free ({folder})"


def _about(gpu: Gpu) -> Iterator[str]:
    yield gpu.name
    if gpu.busy_percent is not None:
        yield f"{gpu.busy_percent} % busy"
    if gpu.used is not None and gpu.total:
        yield f"{_gib(gpu.used * 1024)} of {_gib(gpu.total * 1024)} GiB used"
    for user, used in sorted(gpu.users.items(), key=lambda item: -item[1]):
        yield f"{user}: {_gib(used * 1024)}"


def _gib(kibibytes: int) -> str:
    gibibytes = kibibytes / 1024**2
    return f"{gibibytes:.1f}" if gibibytes < 10 else f"{gibibytes:.0f}"


def _number(text: str) -> int | None:
    """Return a whole number; None for what stands where there is none, such as `[N/A]`."""
    return int(text) if _DIGITS.fullmatch(text.strip()) else None


def _pair(free: str, total: str) -> tuple[int, int] | None:
    numbers = _number(free), _number(total)
    return None if numbers[0] is None or numbers[1] is None else (numbers[0], numbers[1])


def _decimal(text: str) -> float | None:
    """Return a number that may have a decimal comma; None for anything else."""
    return float(text.replace(",", ".")) if _DECIMAL.fullmatch(text) else None
