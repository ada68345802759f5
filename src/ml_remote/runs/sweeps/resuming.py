"""Resuming a sweep: its remaining, failed and added sets, also on other machines."""

from __future__ import annotations

from ...context import Context
from ...errors import UsageError
from ...ui.words import counted
from ..launchers.launcher import RunRequest
from .expanding import check_size
from .finding import read_sweep, sets_of
from .merging import divide
from .reassigning import reassign
from .request import SweepRequest
from .resuming_one import resume_on_machine
from .starting import Numbered, Share, after_start, tell_machine
from .state import Sweep
from .workers import Cards

__all__ = ["resume"]


def resume(context: Context, request: RunRequest, asked: SweepRequest, *, cards: Cards) -> int:
    """Run `lab run --resume SWEEP`, adding sets to it where some are given.

    What has failed runs again. Raises UsageError when no sweep is meant, and LabError.
    """
    assert request.resume is not None
    sweep = read_sweep(context, request.resume, alias=request.alias)
    _check(sweep, request, asked)
    if asked.spread:
        reassign(context, sweep, request, asked, cards=cards)
        return after_start(context, sweep.id, request)
    added = _added(sweep, asked)
    more = (asked.samples or 0) if sweep.run.optimize else 0
    if not added and not more and not sweep.left and not sweep.failed:
        raise UsageError(f"All {sweep.total} sets of {sweep.id} are done.", hint=_how_to_add(sweep))
    _tell_of_silent(context, sweep)
    folders = sweep.folders
    parts = divide(added, [max(1, one.at_once) for one in folders])
    open_sets = sweep.left + sweep.failed + len(added) + more
    new = len(added) + more
    shares = [
        Share(machine=one.machine, far="", at_once=0, cards=0, sets=own)
        for one, own in zip(folders, parts, strict=True)
    ]
    for number, one in enumerate(folders):
        others = [share for share in shares if share is not shares[number] and share.sets]
        resume_on_machine(context, one, request, asked, shares[number], cards=cards, more=more)
        if others:
            tell_machine(one.machine, sweep.id, others=others)
    context.console.note(f"{sweep.id} continues: {_open_in_words(open_sets, new)}.")
    return after_start(context, sweep.id, request)


def _open_in_words(count: int, new: int) -> str:
    """Return how many runs are to be done, and how many of them are new."""
    if count == new:
        return counted(new, "new run")
    return f"{counted(count, 'run')} left{f', {new:,} of them new' if new else ''}"


def _tell_of_silent(context: Context, sweep: Sweep) -> None:
    """Warn of machines that have sets and do not answer."""
    if not sweep.elsewhere:
        return
    silent = ", ".join(f"{alias} ({count})" for alias, count in sweep.elsewhere.items())
    context.console.warn(
        f"These machines have sets of {sweep.id} but do not answer: {silent}. To give their sets "
        f"to others: lab run --resume {sweep.id} --spread "
        f"{','.join(one.place for one in sweep.folders)}"
    )


def _check(sweep: Sweep, request: RunRequest, asked: SweepRequest) -> None:
    """Raise UsageError for what a sweep cannot be resumed with."""
    run = sweep.run
    if request.parameters or request.again or request.tty or request.name or request.gpus:
        raise UsageError(
            f"{sweep.id} continues with the same lab or program.",
            hint="You can only change it by --sweep, --samples, --spread and --at-once",
        )
    if request.options.get("slurm") and run.launcher != "slurm":
        raise UsageError(f"{sweep.id} was not started by Slurm, so it continues without it.")
    if run.optimize and asked.axes:
        raise UsageError(f"Optuna proposes the sets of {sweep.id}.", hint=_how_to_add(sweep))
    if asked.samples is not None and not asked.axes and not run.optimize:
        raise UsageError(
            f"--samples needs --sweep: the sets of {sweep.id} are not proposed.",
            hint=_how_to_add(sweep),
        )
    if asked.spread and (run.optimize or run.launcher == "slurm" or not sweep.part or asked.axes):
        what = "with --sweep" if asked.axes else f"for {sweep.id}"
        raise UsageError(f"--spread cannot be used {what}.")
    _check_secrets(sweep, request)


def _how_to_add(sweep: Sweep) -> str:
    more = "--samples N" if sweep.run.optimize else "--sweep NAME=VALUES"
    return f"To add some: lab run --resume {sweep.id} {more}"


def _added(sweep: Sweep, asked: SweepRequest) -> Numbered:
    """Return the sets to add to a sweep: those of them that it does not have yet."""
    if not asked.axes:
        return []
    names = {axis.name for axis in asked.axes}
    if names != set(sweep.run.swept):
        raise UsageError(
            f"{sweep.id} has the parameters {', '.join(sweep.run.swept)}; new sets need a value "
            "for each of these, and no others."
        )
    there = sets_of(sweep).parameters
    known = {frozenset(one) for one in there.values()}
    added = [one for one in asked.sets if frozenset(one) not in known]
    if not added:
        raise UsageError(f"{sweep.id} has all of these {len(asked.sets)} sets already.")
    check_size([*there.values(), *added])
    return list(enumerate(added, max(there, default=0) + 1))


def _check_secrets(sweep: Sweep, request: RunRequest) -> None:
    """Raise UsageError unless the sweep is given the secrets again that it needs, and no others."""
    missing = [name for name in sweep.run.secrets if name not in request.variables.secret]
    if missing:
        raise UsageError(
            f"{sweep.id} needs {', '.join(missing)} again; their values were not stored.",
            hint=f"Give each of them by --env NAME: lab run --resume {sweep.id} --env NAME",
        )
    if request.variables.recorded or set(request.variables.secret) - set(sweep.run.secrets):
        raise UsageError(f"{sweep.id} continues with its original variables.")
