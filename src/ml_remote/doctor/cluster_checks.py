"""The checks of `lab doctor` about a cluster: what lab.toml asks for, compared with what it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..cluster import Partition, parse_partitions
from ..editor.server_folder import server_setting
from ..errors import LabError
from ..machine import Machine
from ..project import Project
from ..quotas import parse_quotas
from ..remote_folders import remote_cache
from ..scripts import script
from ..slurm_options import SlurmOptions, seconds_of
from ..ui.words import counted
from .findings import Finding, failed, ok, skipped, unknown

__all__ = ["check_cache", "check_prepare", "check_wishes", "examine_cluster"]

_NEEDED_GIB = 6  # what a first environment downloads and unpacks
_PATIENCE = 120.0  # seconds: modules may be slow to load
_RULE = re.compile(r"(?m)^lab-rule (\w+) ?(.*)$")


def examine_cluster(machine: Machine, project: Project, *, has_slurm: bool) -> Iterator[Finding]:
    """Yield what is to be said of [slurm] and of `cache` in [environment]."""
    options = project.settings.slurm
    try:
        cache = remote_cache(machine, project.tables)
    except LabError as error:
        yield failed("cache", error)
        cache = ""
    asks = options != SlurmOptions()
    if not (cache or asks):
        yield (
            ok("slurm", "the machine has sbatch")
            if has_slurm
            else skipped("slurm", "lab.toml does not use it")
        )
        yield skipped("prepare", "lab.toml has no prepare")
        yield skipped("cache", "downloads use their default places")
        return
    words = ("yes" if asks else "no", cache, str(len(options.prepare)), *options.prepare)
    try:
        said = machine.client.run_script(script("cluster-rules"), *words, timeout=_PATIENCE).stdout
    except LabError as error:
        yield failed("slurm", error)
        return
    rules = dict(_RULE.findall(said))
    yield check_wishes(options, parse_partitions(said), ping=rules.get("ping"))
    yield check_prepare(options, rules.get("prepare"))
    yield check_cache(cache, rules, said, alias=machine.alias)


def check_wishes(
    options: SlurmOptions, partitions: Sequence[Partition], *, ping: str | None
) -> Finding:
    """Check that Slurm is available, answers, and has what [slurm] asks for.

    `ping` is what `scontrol ping` said; None where there is no Slurm.
    """
    if ping is None and options == SlurmOptions():
        return skipped("slurm", "lab.toml does not use it")
    if ping is None:
        return Finding(
            name="slurm",
            state="failed",
            detail="lab.toml has a table [slurm], but there is no sbatch on the machine",
            remedy="Connect to a login node of the cluster: lab connect user@address --replace",
        )
    if not partitions:
        return unknown("slurm", "its controller does not answer, so nobody knows what is free")
    names = ", ".join(one.name for one in partitions)
    found = [one for one in partitions if one.name == options.partition]
    if options.partition is None:
        found = [one for one in partitions if one.is_default]
    elif not found and "," not in options.partition:
        return _wrong(f"there is no partition {options.partition}, only {names}", "partition")
    for one in found:
        fault = _fault(options, one)
        if fault is not None:
            return fault
    return ok("slurm", f"it answers; partitions: {names}", quoted=(names,))


def _fault(options: SlurmOptions, one: Partition) -> Finding | None:
    """Return what a partition does not give to a run, if there is something."""
    longest = _limit(one.time)
    if options.time is not None and longest and seconds_of(options.time) > longest:
        detail = f"lab.toml asks for {options.time}, but partition {one.name} allows {one.time}"
        return _wrong(detail, "time")
    if options.nodes > one.of_all:
        return _wrong(
            f"lab.toml asks for {counted(options.nodes, 'node')}, but partition {one.name} has "
            f"{one.of_all}",
            "nodes",
        )
    if options.gpus > one.most_cards:
        return _wrong(
            f"lab.toml asks for {counted(options.gpus, 'GPU')} on each node, but no node of "
            f"partition {one.name} has more than {one.most_cards}",
            "gpus",
        )
    if options != SlurmOptions() and not one.nodes:
        return _wrong(f"no node of partition {one.name} accepts jobs now", "partition")
    return None


def _wrong(detail: str, word: str) -> Finding:
    return Finding(
        name="slurm",
        state="failed",
        detail=detail,
        quoted=(detail,),
        remedy=f"Change {word} in [slurm] of lab.toml",
    )


def _limit(time: str) -> float:
    """Return the seconds of a time limit; 0 where there is none, or it cannot be read."""
    try:
        return seconds_of(time)
    except ValueError:
        return 0


def check_prepare(options: SlurmOptions, said: str | None) -> Finding:
    """Check that a login shell runs the lines of `prepare`; `said` is an exit code and an error."""
    if not options.prepare:
        return skipped("prepare", "lab.toml has no prepare")
    code, _, why = (said or "").partition(" ")
    if not code.isdecimal():
        return unknown("prepare", "the machine did not say if it can be run")
    if code != "0":
        return Finding(
            name="prepare",
            state="failed",
            detail=why or f"it ended with exit code {code}",
            quoted=(why,),
            remedy="Correct prepare in [slurm] of lab.toml; to try it on the machine: bash -l, "
            "then that line",
        )
    return ok("prepare", "a login shell runs it")


def check_cache(cache: str, rules: Mapping[str, str], said: str, *, alias: str) -> Finding:
    """Check that the folder for downloads in lab.toml can be used, and by the editor's server."""
    if not cache:
        return skipped("cache", "downloads use their default places")
    state, free, disk = (*rules.get("cache", "").split(" ", 2), "", "", "")[:3]
    name = "cache in [environment] of lab.toml"
    if state == "closed":
        detail = f"{cache} cannot be made, or you may not write to it"
        return Finding(name="cache", state="failed", detail=detail, remedy=f"Change {name}")
    if state not in ("works", "home") or not re.fullmatch("[0-9]{1,15}", free):
        return unknown("cache", "the machine did not say if it can be used")
    gibibytes = int(free) / 1024**2
    own = [one for one in parse_quotas(said) if one.place == disk or cache.startswith(one.place)]
    short = [one for one in own if one.is_over or one.leaves_less_than(_NEEDED_GIB)]
    if gibibytes < _NEEDED_GIB or short:
        left = str(short[0]) if short else f"{gibibytes:.1f} GiB are free"
        detail = f"{cache}: {left}; a first environment takes about {_NEEDED_GIB}"
        remedy = f"Free disk space there, or change {name}"
        return Finding(name="cache", state="failed", detail=detail, quoted=(left,), remedy=remedy)
    if state == "home":
        return Finding(
            name="cache",
            state="warning",
            detail=f"{cache} is on the disk of your home directory",
            remedy=f"If that is small, name a folder on another disk: {name}",
        )
    editor = f"VS Code's server can use it too, with the setting {server_setting(alias, cache)}"
    return ok("cache", f"{gibibytes:.0f} GiB free in {cache}. {editor}")
