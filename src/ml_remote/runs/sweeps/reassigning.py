"""Reassign the sets of a machine that is lost, or no longer wanted, to others."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ...context import Context
from ...errors import UsageError
from ...files import exclusive
from ...records.reading import read_record
from ...transfer.fetching import manifest_of
from ...transfer.outputs import INCOMING
from ...transfer.results import Results
from ...ui.text import in_one_line
from ...ui.words import counted
from ..folders import shared_folders
from ..launchers.launcher import RunRequest
from ..launchers.one_machine import code_is_changed
from ..machines import remember_machine
from .expanding import ParameterSet
from .finding import sets_of_each
from .following import fetch_results, stop
from .merging import divide
from .request import SweepRequest
from .resuming_one import resume_on_machine
from .starting import Share, make_folder, tell_machine
from .state import Sets, Sweep
from .workers import Cards, cards_of_a_set, how_many_at_once, launcher_for, start_workers

__all__ = ["reassign"]


def reassign(
    context: Context, sweep: Sweep, request: RunRequest, asked: SweepRequest, *, cards: Cards
) -> None:
    """Run `--resume SWEEP --spread a,b`: these machines run all its remaining sets.

    What another one had is given to them, without what it has done as far as that is known here or
    there. Interrupted, it can be carried out again. Raises LabError.
    """
    _check(sweep, asked)
    staying = {one.machine.alias: one for one in sweep.each if one.machine.alias in asked.spread}
    kept = {one.part for one in staying.values()}
    leaving = [one for one in sweep.folders if one.part not in kept]
    gone = [*dict.fromkeys([*(one.place for one in leaving), *sweep.elsewhere])]
    for one in leaving:
        if one.living:
            stop(context, one)
        fetch_results(context, one)
    known = dict(zip((one.place for one in sweep.folders), sets_of_each(sweep), strict=True))
    sets = _held_by(gone, known)
    ended = _ended(context, sweep, sets, {alias: known.get(alias) for alias in gone})
    _put_aside(context, sweep, [number for number in sets if number not in ended])
    weights = [max(1, staying[one].at_once if one in staying else 1) for one in asked.spread]
    parts = divide([one for one in sorted(sets.items()) if one[0] not in ended], weights)
    parts[0] += [one for one in sorted(sets.items()) if one[0] in ended]
    shares = [
        Share(machine=context.one_of_several(alias), far="", at_once=0, cards=0, sets=own)
        for alias, own in zip(asked.spread, parts, strict=True)
    ]
    for share in shares:
        others = [one for one in shares if one is not share]
        lines = "\n".join(ended[one] for one, _ in share.sets if one in ended)
        own = staying.get(share.machine.alias)
        if own is not None:
            tell_machine(share.machine, sweep.id, others=others, ended=lines)
            name = f"{share.sets[0][0]:06}.{gone[0]}" if share.sets else ""
            resume_on_machine(context, own, request, asked, share, cards=cards, name=name)
            continue
        if _begin(context, sweep, request, asked, share, ended=lines, cards=cards):
            has = [_whole_share(context, one.place, known[one.place]) for one in staying.values()]
            tell_machine(share.machine, sweep.id, others=[*has, *others])
        for one in staying.values():
            tell_machine(one.machine, sweep.id, others=[share])
    for machine in [*(share.machine for share in shares), *(one.machine for one in leaving)]:
        tell_machine(machine, sweep.id, others=[], gone=gone)
    left = len(sets) - len(ended)
    given = f", with {counted(left, 'run')} of {', '.join(gone)}" if left else ""
    context.console.note(f"{sweep.id} continues on {', '.join(asked.spread)}{given}.")


def _check(sweep: Sweep, asked: SweepRequest) -> None:
    """Raise UsageError for machines that cannot continue a sweep."""
    again = [alias for alias in asked.spread if alias in sweep.given]
    if again:
        raise UsageError(f"The sets of {', '.join(again)} were already given to other machines.")
    silent = [alias for alias in asked.spread if alias in sweep.elsewhere]
    if silent:
        raise UsageError(
            f"No answer from {', '.join(silent)}, so no sets can continue there.",
            hint="Name the machines that should run them",
        )


def _held_by(gone: Sequence[str], known: Mapping[str, Sets]) -> dict[int, ParameterSet]:
    """Return the sets of these machines that no other one has yet."""
    others = {number for alias in known if alias not in gone for number in known[alias].parameters}
    held: dict[int, ParameterSet] = {}
    for alias, sets in known.items():
        if alias in gone:
            held |= sets.parameters
        held |= {number: pairs for (number, own), pairs in sets.elsewhere.items() if own in gone}
    return {number: pairs for number, pairs in held.items() if number not in others}


def _ended(
    context: Context,
    sweep: Sweep,
    sets: Mapping[int, ParameterSet],
    known: Mapping[str, Sets | None],
) -> dict[int, str]:
    """Return a line for each of these sets that is done: as its machine or what is here says."""
    found = {}
    for number in sets:
        outcomes = [
            one.outcomes[number] for one in known.values() if one and number in one.outcomes
        ]
        record = read_record(
            context.project.outputs / sweep.run.output_folder / f"{sweep.id}-{number}"
        )
        is_here = record.exit_code == 0 and record.ended is not None
        if not is_here and not any(one.exit_code == 0 for one in outcomes):
            continue
        seconds = outcomes[0].seconds if outcomes else record.seconds or 0
        moment = record.ended or datetime.now(UTC)
        found[number] = json.dumps(
            {
                "set": number,
                "exit_code": 0,
                "seconds": seconds,
                "ended": int(moment.timestamp()),
                "run": f"{sweep.id}-{number}",
                "said": "",
                "attempt": 0,
                "round": 0,
            }
        )
    return found


def _put_aside(context: Context, sweep: Sweep, numbers: Sequence[int]) -> None:
    """Move fetched files of sets that start again elsewhere out of the way of their results."""
    results = Results(context.project.outputs)
    folders = [f"{sweep.run.output_folder}/{sweep.id}-{number}" for number in numbers]
    there = [folder for folder in folders if (results.path / folder).is_dir()]
    if not there:
        return
    results.check()
    aside = results.path / sweep.run.output_folder / f".{sweep.id}-lost"
    with exclusive(results.path / INCOMING):
        aside.mkdir(exist_ok=True)
        for folder in there:
            own = results.path / folder
            target = next(path for path in _free_names(aside / own.name) if not path.exists())
            own.rename(target)
        manifest = manifest_of(results.path)
        manifest.forget(lambda name: name.startswith(tuple(f"{folder}/" for folder in there)))
        manifest.write()
    name = in_one_line(aside.relative_to(context.project.root).as_posix())
    context.console.note(f"Partial results of sets that start again are now in {name}.")


def _free_names(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.name}_{number}")


def _whole_share(context: Context, alias: str, sets: Sets) -> Share:
    """Return what a machine has had of a sweep so far."""
    own = sorted(sets.parameters.items())
    return Share(machine=context.one_of_several(alias), far="", at_once=0, cards=0, sets=own)


def _begin(
    context: Context,
    sweep: Sweep,
    request: RunRequest,
    asked: SweepRequest,
    share: Share,
    *,
    ended: str,
    cards: Cards,
) -> bool:
    """Start a sweep on a machine that has had no part of it; return whether it has a folder now.

    It has none where it shares the disk of one that has. Raises LabError.
    """
    machine, run = share.machine, replace(sweep.run, spread=tuple(asked.spread))
    code_is_changed(context, machine, run, since=None, is_of_now=True)
    most = max(1, len(share.sets))
    at_once = how_many_at_once(machine, run, asked.at_once, most=most, cards=cards)
    far = launcher_for(run).far(machine)
    folders = shared_folders(context, machine, far=far, at_once=at_once)
    own = replace(
        share,
        far=far,
        at_once=at_once,
        folders=folders,
        cards=cards_of_a_set(machine, run, at_once, cards),
    )
    part = f"{sweep.part.partition('-')[0]}-{machine.alias}"
    _, owner = make_folder(context, run, own, asked, part=part, sweep_id=sweep.id)
    tell_machine(machine, sweep.id, others=[], ended=ended)
    if share.sets:
        start_workers(
            context,
            machine,
            replace(run, sweep=sweep.id),
            count=at_once,
            sets=len(share.sets),
            far=own.far,
            folders=folders,
            secrets=request.variables.secret,
        )
    remember_machine(context.project, machine.alias)
    return owner == machine.alias
