"""A new environment beside the old one, or a change in place; proved before it is believed."""

from pathlib import Path

from .failures import Failure, ManagerError
from .inside import inventory, prove_device
from .managers import Manager, Work
from .places import Places, interpreter_of, remove
from .record import Record, write_record
from .speech import say
from .state import State

__all__ = ["make_beside", "make_in_place", "prove"]


def make_beside(places: Places, manager: Manager, work: Work) -> None:
    """Make a complete environment at `work.prefix`; nothing of it is left if that fails."""
    try:
        _carry_out(manager, work, in_place=False)
    except BaseException:
        remove(work.prefix)
        raise


def make_in_place(places: Places, manager: Manager, work: Work, state: State) -> None:
    """Change the environment at `work.prefix`, or make it there where it must be."""
    places.state.mkdir(parents=True, exist_ok=True)
    keeps_working = state.works and manager.only_adds(work)
    if not keeps_working:
        places.incomplete.touch()
    is_there = state.prefix is not None and interpreter_of(work.prefix).exists()
    _carry_out(manager, work, in_place=is_there)


def _carry_out(manager: Manager, work: Work, *, in_place: bool) -> None:
    try:
        if in_place:
            manager.change(work)
        else:
            manager.make(work)
    except ManagerError as error:
        known = manager.explain(error, work)
        if known is not None:
            raise known from error
        last = [line for line in error.text.splitlines() if line.strip()][-3:]
        raise Failure(
            "{} ended with exit code {}.".format(Path(error.command[0]).name, error.code), *last
        ) from error


def prove(manager: Manager, work: Work) -> Record:
    """Compare what is installed with the lists, and compute with torch; write the record.

    Raises Failure when the environment is not what the lists ask for, or torch cannot be used.
    """
    found = inventory(work.prefix, work.lists)
    device = prove_device(work.prefix)
    if device is None or found is None:
        raise Failure(
            "torch was installed but cannot be imported.",
            "Run this once more. If that does not help, send the lines above to whoever looks after"
            " the machine.",
        )
    if device.is_lasting:
        raise Failure(
            "This build of torch cannot compute on the card: {}.".format(device.problem),
            'Name another build in lab.toml, under [environment]: torch = "cu126", or "cpu".',
        )
    if device.problem:
        say("The card could not be tried: {}.".format(device.problem))
    record = Record(
        manager.name,
        python=work.settings.python,
        lists=work.lists.digest,
        torch=work.settings.torch,
        device=device.summary,
        project=str(work.root),
        complete=True,
        installed=found.versions,
    )
    write_record(work.prefix, record)
    return record
