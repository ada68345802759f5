"""The start of a sweep, on one machine or on several."""

from __future__ import annotations

import json
import secrets as random_words
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ... import answers
from ...context import Context
from ...errors import LabError, UsageError
from ...jobs.about import About, Run, program_name
from ...machine import Machine
from ...next_steps import Known, what_next
from ...parsing import parse_json
from ...scripts import ExitCode, run_script
from ...ssh.address import validate_alias
from ...ui.text import in_one_line
from ...ui.words import counted
from ..cards import check_cards
from ..folders import shared_folders
from ..labs import find_lab
from ..launchers import launcher_asked_for
from ..launchers.launcher import RunRequest
from ..launchers.one_machine import code_is_changed
from ..machines import remember_machine
from ..missing_data import warn_of_missing_data
from .expanding import Axis, ParameterSet, check_places
from .finding import read_sweep
from .following import follow
from .merging import divide
from .request import SweepRequest
from .workers import (
    Cards,
    cards_of_a_set,
    command_of_sets,
    how_many_at_once,
    launcher_for,
    start_workers,
)

__all__ = ["Numbered", "Share", "after_start", "in_lines", "make_folder", "start"]

_SHOWN = 5  # sets that are shown before a sweep starts

Numbered = Sequence[tuple[int, ParameterSet]]
"""Sets, and their numbers in the whole sweep."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of a sweep that one machine gets."""

    machine: Machine
    far: str
    """The folder of its far half."""
    at_once: int
    """How many workers it has; 0 leaves it to Slurm."""
    cards: int
    """How many cards each set holds."""
    folders: tuple[str, ...] = ()
    """The folders of [outputs], where sets write to those of the project itself."""
    sets: Numbered = ()


def start(context: Context, request: RunRequest, asked: SweepRequest, *, cards: Cards) -> int:
    """Run `lab run --sweep`: start a sweep, and follow it; return the exit code.

    Raises UsageError for what cannot be swept, and LabError when it cannot be started.
    """
    run = _wanted(context, request, asked)
    if asked.spread:
        machines = [context.one_of_several(alias) for alias in asked.spread]
    else:
        machines = [context.machine(request.alias)]
    shares = [_prepared(context, one, run, asked, cards=cards) for one in machines]
    numbered = list(enumerate(asked.sets, 1))
    if asked.spread:
        parts = divide(numbered, [share.at_once for share in shares])
        shares = [replace(one, sets=own) for one, own in zip(shares, parts, strict=True)]
        # With fewer sets than machines, some have nothing to do.
        shares = [
            replace(one, at_once=min(one.at_once, len(one.sets))) for one in shares if one.sets
        ]
    else:
        shares = [replace(shares[0], sets=numbered)]
    _show(context, run, asked, shares)
    sweep_id = _make_all(context, run, asked, shares)
    for share in shares:
        start_workers(
            context,
            share.machine,
            replace(run, sweep=sweep_id),
            count=share.at_once,
            sets=asked.wanted,
            far=share.far,
            folders=share.folders,
            secrets=request.variables.secret,
        )
        if request.alias is not None or asked.spread:
            remember_machine(context.project, share.machine.alias)
    return after_start(context, sweep_id, request)


def _make_all(context: Context, run: Run, asked: SweepRequest, shares: Sequence[Share]) -> str:
    """Make the folders of a sweep on these machines; return its id. Raises LabError."""
    sweep_id, whole = "", random_words.token_hex(8)
    folders: dict[str, Share] = {}
    for number, share in enumerate(shares):
        part = f"{whole}-{number}"
        try:
            sweep_id, owner = make_folder(context, run, share, asked, part=part, sweep_id=sweep_id)
        except LabError:
            for one in folders.values():
                with suppress(LabError):
                    run_script(one.machine, "remove-sweep", run.output_folder, sweep_id, "")
            raise
        own = folders.get(owner, replace(share, sets=()))
        folders[owner] = replace(own, sets=[*own.sets, *share.sets])
    for own in folders.values() if len(folders) > 1 else ():
        tell_machine(
            own.machine, sweep_id, others=[one for one in folders.values() if one is not own]
        )
    return sweep_id


def make_folder(
    context: Context,
    run: Run,
    share: Share,
    asked: SweepRequest,
    *,
    part: str,
    sweep_id: str = "",
) -> tuple[str, str]:
    """Make the folder of a sweep on a machine; return its id, which the others have, too.

    A machine that shares its disk with one of the others has it already: there the sets of both
    are in one folder. The alias of the machine that has made it is returned, too. Raises LabError.
    """
    machine = share.machine
    about = _description(context, run, share, asked, part=part)
    done = run_script(
        machine,
        "make-sweep",
        json.dumps(about),
        command_of_sets(context, run, far=share.far),
        in_lines(share.sets),
        share.far,
        str(asked.wanted) if asked.optimize else "",
        sweep_id,
        part,
        explanations={
            ExitCode.NO_OPTUNA: lambda _: LabError(
                f"The environment on {machine.alias} has no optuna, which proposes the sets.",
                hint="lab add optuna",
            ),
            ExitCode.CHANGED: lambda _: LabError(
                f"{machine.alias} already has another sweep {sweep_id}.",
                hint="Run the command again",
            ),
        },
    )
    words = [line.split("\t") for line in done.stdout.split("\n")]
    made = next((one[1] for one in words if one[0] in ("made", "shared") and len(one) > 1), "")
    answers.checked(answers.JOB, made)
    owner = next((one[2] for one in words if one[0] == "shared" and len(one) > 2), "")
    if not owner:
        return made, machine.alias
    validate_alias(owner)
    if share.folders:
        raise LabError(
            f"{machine.alias} shares its disk with {owner}, and the project there is not a git "
            f"repository. Both would mix their files in {share.folders[0]}/. Nothing was started.",
            hint="Name only one of them in --spread",
        )
    name = f"{share.sets[0][0]:06}.{random_words.token_hex(4)}" if share.sets else ""
    lines, command = in_lines(share.sets), command_of_sets(context, run, far=share.far)
    run_script(machine, "resume-sweep", made, name, lines, command, share.far, "", job=made)
    return made, owner


def _description(
    context: Context, run: Run, share: Share, asked: SweepRequest, *, part: str
) -> dict[str, object]:
    """Return what `about.json` of a sweep says of one machine's part of it."""
    about = {
        **parse_json(About(kind="sweep", title=run.title, run=run, far=share.far).to_json()),
        "at_once": share.at_once,
        "cards": share.cards,
        "output_folder": run.output_folder,
        "folders": list(context.project.settings.output_folders),
        "part": part,
        "place": share.machine.alias,
    }
    if asked.optimize:
        about |= {"sample_seed": asked.seed, "space": {one.name: one.space for one in asked.axes}}
    return about


def tell_machine(
    machine: Machine,
    sweep_id: str,
    *,
    others: Sequence[Share],
    gone: Sequence[str] = (),
    ended: str = "",
) -> None:
    """Tell a machine which sets others have; those of the machines `gone` belong to others now.

    `ended` has a line for each of these that had ended by then. Raises LabError.
    """
    words = [
        word
        for one in others
        if one.sets
        for word in (f"{one.sets[0][0]:06}", one.machine.alias, in_lines(one.sets))
    ]
    run_script(machine, "spread-sweep", sweep_id, " ".join(gone), ended, *words, job=sweep_id)


def after_start(context: Context, sweep_id: str, request: RunRequest) -> int:
    """Follow a sweep to its end, unless that is not wanted; return the exit code."""
    if request.detach:
        context.console.next_step(what_next(context, Known(running=[sweep_id])))
        return 0
    return follow(context, read_sweep(context, sweep_id, alias=request.alias))


def in_lines(sets: Numbered) -> str:
    """Return the file of the sets: a line of JSON for each."""
    return "\n".join(json.dumps({"set": number, "parameters": pairs}) for number, pairs in sets)


def _wanted(context: Context, request: RunRequest, asked: SweepRequest) -> Run:
    """Return what each worker is to run. Raises UsageError."""
    names = [axis.name for axis in asked.axes]
    for name, _ in (
        *request.parameters,
        *request.variables.recorded,
        *request.variables.secret.items(),
    ):
        if name in names:
            raise UsageError(f"{name} is both set and swept; keep one of the two.")
    run = Run(
        launcher=launcher_asked_for(request.options).name,
        variables=request.variables.recorded,
        secrets=tuple(request.variables.secret),
        parameters=(*request.parameters, *((axis.name, axis.text) for axis in asked.axes)),
        swept=tuple(names),
        gpus=request.gpus,
        optimize=asked.optimize,
        spread=tuple(asked.spread),
    )
    if request.command:
        check_places(request.command, names)
        command = tuple(request.command)
        return replace(run, command=command, name=request.name or program_name(command))
    return replace(run, lab=find_lab(context.project, request.lab))


def _prepared(
    context: Context, machine: Machine, run: Run, asked: SweepRequest, *, cards: Cards
) -> Share:
    """Return what a machine can run of a sweep, once all is there. Raises LabError."""
    code_is_changed(context, machine, run, since=None, is_of_now=True)
    warn_of_missing_data(context, machine, run)
    at_once = how_many_at_once(machine, run, asked.at_once, most=asked.wanted, cards=cards)
    far = launcher_for(run).far(machine)
    if run.gpus and run.launcher != "slurm":
        check_cards(machine, far, run.gpus)
    folders = shared_folders(context, machine, far=far, at_once=at_once)
    own = cards_of_a_set(machine, run, at_once, cards)
    return Share(machine=machine, far=far, at_once=at_once, cards=own, folders=folders)


def _show(context: Context, run: Run, asked: SweepRequest, shares: Sequence[Share]) -> None:
    """Report what is about to start."""
    console = context.console
    what = in_one_line(run.lab or shlex.join(run.command))
    if asked.spread:
        console.note(f"{counted(asked.wanted, 'run')}: {what}")
        for share in shares:
            console.note(
                f"  {share.machine.alias}: {counted(len(share.sets), 'run')}, {_limit(share)}"
            )
    else:
        (share,) = shares
        count = counted(asked.wanted, "run")
        console.note(f"{count}, {_limit(share)}: {what} on {share.machine.alias}")
    if asked.optimize:
        console.note(f"  Optuna proposes each, for {asked.optimize}:")
        _show_axes(context, asked.axes)
        return
    for number, pairs in enumerate(asked.sets[:_SHOWN], 1):
        values = "  ".join(f"{name} {value}" for name, value in pairs)
        console.note(f"  {number}  {values}")
    if len(asked.sets) > _SHOWN:
        console.note(f"  ... and {len(asked.sets) - _SHOWN} more")


def _show_axes(context: Context, axes: Sequence[Axis]) -> None:
    for axis in axes:
        context.console.note(f"  {axis.name}  {axis.text}")


def _limit(share: Share) -> str:
    return f"{share.at_once} at once" if share.at_once else "as many at once as Slurm allows"
