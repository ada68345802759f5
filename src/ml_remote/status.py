"""`lab status`: how busy the remote machine is, and what of this project runs there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .answers import JOB, is_a
from .cluster import (
    ClusterJob,
    Partition,
    cluster_lines,
    parse_cluster_jobs,
    parse_partitions,
)
from .context import Context
from .far_half import far_folder
from .jobs import no_sign, tell_of_many
from .jobs.document import job_document
from .jobs.job import Job, parse_answer
from .lasting_kernels import Kernels, kernel_document, parse_kernels
from .machine import Machine
from .next_steps import Known, read_environment, what_next
from .nodes.document import about_node, node_document
from .nodes.state import Node, parse_nodes
from .quotas import Quota, advice, is_short, parse_quotas, sizes_in
from .runs.machines import RemoteJob
from .runs.sweeps.finding import interrupted_among
from .scripts import ExitCode, check, run_script, script
from .sessions.kernels import about_kernels
from .sessions.open_ports import OpenPort, open_ports
from .slurm_options import SlurmOptions
from .ui.words import counted, duration_in_words, in_gib

__all__ = ["Gpu", "Load", "look_at", "parse", "status", "status_document"]

_OF_A_CLUSTER_JOB = ("partition", "name", "time_left", "node")
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

    held_by: str = ""
    """Who has it to themselves, by `lab run --gpus`."""
    held_for: str = ""
    """The run that has it."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Somebody who waits in line for cards."""

    place: int
    cards: int
    user: str
    run: str
    """The id of the run, in whatever project."""


@dataclass(kw_only=True)
class Load:
    """How busy the machine is. Sizes are in KiB, unless they are a GPU's."""

    host: str = ""
    gpus: list[Gpu] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    """Who waits for cards, the first in line first."""
    gpu_fault: str = ""
    """Why nvidia-smi could say nothing, in its own words."""
    load: float | None = None
    """How many processes wanted to compute, on average over the last minute."""
    cores: int | None = None
    memory: tuple[int, int] | None = None
    """Free and total."""
    disk: tuple[int, int] | None = None
    """Free and total, on the disk of the project's folder."""
    jobs: list[Job] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    """The ids of jobs that cannot be read, and why."""
    nodes: list[Node] = field(default_factory=list)
    """The compute nodes that were asked for here."""
    kernels: Kernels = field(default_factory=Kernels)
    """Those of the project that outlive their window."""
    partitions: list[Partition] = field(default_factory=list)
    """Those of the cluster, on a login node."""
    cluster_jobs: list[ClusterJob] = field(default_factory=list)
    """The person's jobs on it, of whatever project."""
    slurm_is_silent: bool = False
    """Whether the machine has a Slurm that does not answer."""
    quotas: list[Quota] = field(default_factory=list)
    has_project: bool = True
    environment: Known = field(default_factory=Known)


def status(context: Context, *, alias: str | None = None, as_json: bool = False) -> None:
    """Run `lab status`. Raises UnreachableError."""
    machine, console = context.machine(alias), context.console
    load = look_at(machine, asks_slurm=context.project.settings.slurm != SlurmOptions())
    ways = [one for one in open_ports(context.project.state) if one.alias == machine.alias]
    if as_json:
        console.json(status_document(load, machine, ways))
        return
    tell_of_many(len(load.jobs), machine, console)
    console.say(f"{machine.alias} ({load.host})")
    for job_id, fault in load.faults.items():
        console.warn(f"Job {job_id} on {machine.alias} was skipped: {fault}.")
    for line in _lines(load, machine.folder):
        console.say(f"  {line}")
    for node in load.nodes:
        if not node.job.is_over:
            console.say(f"  Node        {node.name}: {about_node(node)}")
    if load.slurm_is_silent:
        console.say("  Slurm       does not answer")
    for line in cluster_lines(load.partitions, load.cluster_jobs):
        console.say(f"  {line}")
    for line in _about_quotas(load, machine):
        console.say(f"  {line}")
    going_on = [job for job in load.jobs if not job.is_over and job.kind != "node"]
    for job in _one_a_sweep(going_on):
        took = duration_in_words(job.duration)
        how_long = f"in the queue for {took}" if job.state == "queued" else f"for {took}"
        if job.place is not None:
            how_long = f"{job.place[0]} of {job.place[1]} in line for {took}"
        how_long = how_long if job.silent_since is None else no_sign(job)
        is_sweep = job.kind == "run" and job.run.sweep
        kind, own = ("Sweep", job.run.sweep) if is_sweep else (job.kind.capitalize(), job.id)
        console.say(f"  {kind:<12}{own}  {job.title}  ({how_long})")
    for line in about_kernels(load.kernels):
        console.say(f"  {line}")
    for one in ways:
        to = f"{one.to} on {machine.alias}"
        console.say(f"  Forward     http://127.0.0.1:{one.port} leads to {to}")
    if not load.has_project:
        console.say(f"  This project is not on the machine yet ({machine.folder}).")
        console.next_step(what_next(context, Known(is_sent=False)))
        return
    if not going_on and not load.kernels.all:
        console.say("  This project has nothing running on the machine.")
    runs = [job for job in load.jobs if job.kind == "run"]
    going_on = [job for job in runs if not job.is_over]
    known = replace(
        load.environment,
        running=[*dict.fromkeys(job.run.sweep or job.id for job in going_on)],
        interrupted=interrupted_among([RemoteJob(machine=machine, job=job) for job in runs]),
    )
    console.next_step(what_next(context, known, after="lab status"))


def _one_a_sweep(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs, of the workers of each sweep only the first."""
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault((job.run.sweep if job.kind == "run" else "") or job.id, job)
    return list(first.values())


def look_at(machine: Machine, *, asks_slurm: bool = False) -> Load:
    """Ask the machine, in one connection; `asks_slurm`: whether lab.toml asks something of Slurm.

    Raises UnreachableError.
    """
    words = (machine.folder, far_folder(), "yes" if asks_slurm else "no")
    done = machine.client.run_script(script("status"), *words, check=False)
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
            case ["card", uuid, user, run] if uuid in gpus:
                gpus[uuid].held_by, gpus[uuid].held_for = user, _run(run)
            case ["waiting", place, cards, user, run, _]:
                number, wants = _number(place), _number(cards)
                if number is not None and wants is not None:
                    one = Waiting(place=number, cards=wants, user=user, run=_run(run))
                    load.waiting.append(one)
            case ["gpu-fault", said]:
                load.gpu_fault = said
            case ["load", average, cores]:
                load.load, load.cores = _decimal(average), _number(cores)
            case ["memory", free, total]:
                load.memory = _pair(free, total)
            case ["slurm-silent"]:
                load.slurm_is_silent = True
            case ["disk", free, total]:
                load.disk = _pair(free, total)
    load.gpus = list(gpus.values())
    answer = parse_answer(output)
    load.jobs, load.faults = list(answer.jobs), dict(answer.faults)
    load.nodes = parse_nodes(output)
    load.kernels = parse_kernels(output)
    load.partitions, load.cluster_jobs = parse_partitions(output), parse_cluster_jobs(output)
    load.quotas = parse_quotas(output)
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
                "held_by": gpu.held_by or None,
                "held_for": gpu.held_for or None,
            }
            for gpu in load.gpus
        ],
        "waiting_for_cards": [asdict(one) for one in load.waiting],
        "gpu_fault": load.gpu_fault or None,
        "load": load.load,
        "cores": load.cores,
        "memory_free": _bytes(memory[0], 2**10),
        "memory_total": _bytes(memory[1], 2**10),
        "disk_free": _bytes(disk[0], 2**10),
        "disk_total": _bytes(disk[1], 2**10),
        "partitions": [{**vars(one)} for one in load.partitions],
        "cluster_jobs": [
            {**vars(one.slurm), **{key: vars(one)[key] for key in _OF_A_CLUSTER_JOB}}
            for one in load.cluster_jobs
        ],
        "quotas": [
            {**asdict(one), "used": one.used * 2**10, "limit": one.limit * 2**10 or None}
            | {"files_limit": one.files_limit or None}
            for one in load.quotas
        ],
        "jobs": [job_document(job) for job in load.jobs if not job.is_over],
        "damaged_jobs": load.faults,
        "kernels": [kernel_document(kernel) for kernel in load.kernels.all]
        if load.kernels.is_known
        else None,
        "nodes": [node_document(node) for node in load.nodes if not node.job.is_over],
        "at_logout": load.kernels.at_logout or None,
        "forwards": [asdict(one) for one in ways],
    }


def _about_quotas(load: Load, machine: Machine) -> Iterator[str]:
    """Yield the quotas, and for one that is nearly used up what could be elsewhere."""
    for one in load.quotas:
        yield f"Quota       {one}"
    if load.has_project and is_short(load.quotas):
        for line in advice(sizes_in(run_script(machine, "large-folders").stdout)):
            yield f"            {line}"


def _bytes(number: int | None, unit: int) -> int | None:
    return None if number is None else number * unit


def _lines(load: Load, folder: str) -> Iterator[str]:
    """Yield the machine as lines of the report."""
    if load.gpu_fault:
        yield f"GPU         nvidia-smi fails: {load.gpu_fault}"
    elif not load.gpus:
        yield "GPU         no NVIDIA card (there is no nvidia-smi)"
    for gpu in load.gpus:
        yield f"GPU {gpu.index:<8}{', '.join(_about(gpu))}"
    for one in load.waiting:
        what = counted(one.cards, "card")
        run = f", run {one.run}" if one.run else ""
        yield f"In line {one.place:<4}{one.user} for {what}{run}"
    if load.load is not None:
        yield f"Load        {load.load:.1f} on {load.cores or '?'} cores"
    if load.memory is not None:
        yield f"Memory      {in_gib(load.memory[0])} of {in_gib(load.memory[1])} GiB free"
    if load.disk is not None:
        yield f"Disk        {in_gib(load.disk[0])} of {in_gib(load.disk[1])} GiB free ({folder})"


def _about(gpu: Gpu) -> Iterator[str]:
    yield gpu.name
    if gpu.busy_percent is not None:
        yield f"{gpu.busy_percent} % busy"
    if gpu.used is not None and gpu.total:
        yield f"{in_gib(gpu.used * 1024)} of {in_gib(gpu.total * 1024)} GiB used"
    for user, used in sorted(gpu.users.items(), key=lambda item: -item[1]):
        yield f"{user}: {in_gib(used * 1024)}"
    if gpu.held_by:
        run = f" for run {gpu.held_for}" if gpu.held_for else ""
        yield f"held by {gpu.held_by}{run}"


def _number(text: str) -> int | None:
    """Return a whole number; None for what is there when there is none, such as `[N/A]`."""
    return int(text) if _DIGITS.fullmatch(text.strip()) else None


def _run(text: str) -> str:
    """Return the id of a run; nothing for what cannot be one."""
    return text if is_a(JOB, text) else ""


def _pair(free: str, total: str) -> tuple[int, int] | None:
    numbers = _number(free), _number(total)
    return None if numbers[0] is None or numbers[1] is None else (numbers[0], numbers[1])


def _decimal(text: str) -> float | None:
    """Return a number that may have a decimal comma; None for anything else."""
    return float(text.replace(",", ".")) if _DECIMAL.fullmatch(text) else None
