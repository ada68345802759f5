"""Making a new environment beside the old one, or changing it in place; tested before use."""

import os
import signal
from pathlib import Path
from typing import Callable, Optional

from .environments import Environments, interpreter_of, remove
from .failures import Failure, ManagerError
from .inside import inventory, needs, prove_device
from .managers import CONDA_FAMILY, Manager, Work
from .output import say
from .record import Record, read_record, write_record

__all__ = ["add_in_place", "explained", "make_beside", "make_in_place", "prove"]

_PTH = "lab_resolved.pth"
_RESOLVE = "import os, sys; sys.path[:] = [os.path.realpath(p) if p else p for p in sys.path]\n"


def make_beside(manager: Manager, work: Work) -> Record:
    """Make an environment at `work.prefix` and prove it; nothing of it is left if that fails."""
    try:
        explained(manager, work, manager.make)
        _resolve_paths(work.prefix)
        return prove(manager, work)
    except BaseException:
        remove(work.prefix)
        raise


def add_in_place(manager: Manager, work: Work) -> Record:
    """Add packages to an environment that works meanwhile."""
    explained(manager, work, manager.add)
    return prove(manager, work)


def make_in_place(environments: Environments, manager: Manager, work: Work) -> Record:
    """Change the environment at `work.prefix`, or make it; until it is proved it is incomplete."""
    environments.state.mkdir(parents=True, exist_ok=True)
    environments.incomplete.touch()
    is_there = interpreter_of(work.prefix).exists()
    if is_there and not _can_change(manager, work):
        say("The manager or the Python has changed: the environment is replaced.")
        for path in work.prefix.iterdir():  # the folder may be a mount
            remove(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        is_there = False
    before = read_record(work.prefix) if is_there else None
    explained(manager, work, manager.change if is_there else manager.make)
    if before is not None:
        explained(manager, work, lambda work: _remove_needless(manager, work, before))
    record = prove(manager, work)
    environments.incomplete.unlink()
    return record


def _remove_needless(manager: Manager, work: Work, before: Record) -> None:
    """Uninstall what the lists have asked for and nothing needs any more.

    The managers only install. What somebody has installed by hand stays, with what it needs.
    """
    found = inventory(work.prefix, work.lists)
    if found is None or not before.needed:
        return
    names = needs(work.prefix, manager.wanted(work, found), before.needed).leaving
    if names:
        say("Removing what the lists no longer ask for: {}".format(", ".join(names)))
        manager.remove(work, names)


def _can_change(manager: Manager, work: Work) -> bool:
    """Return whether a manager can change what is there into what is asked for.

    conda cannot change what uv and pip have made, nor they what it has; and they leave Python as it
    is, which conda takes from its list.
    """
    is_of_conda = (work.prefix / "conda-meta").is_dir()
    if is_of_conda != (manager.name in CONDA_FAMILY):
        return False
    record = read_record(work.prefix)
    return is_of_conda or record is None or record.python == work.settings.python


def explained(manager: Manager, work: Work, task: Callable[[Work], object]) -> bool:
    """Run an action of a manager; return whether its result is true.

    Raises Failure: what went wrong in words, or the last lines that were printed.
    """
    try:
        return bool(task(work))
    except ManagerError as error:
        name = Path(error.command[0]).name
        known = _killed(error, name) or manager.explain(error, work)
        if known is not None:
            raise known
        last = [line for line in error.text.splitlines() if line.strip()][-3:]
        raise Failure("{} ended with exit code {}.".format(name, error.code), *last)


def _killed(error: ManagerError, name: str) -> Optional[Failure]:
    """Return what a signal means: of a limit of CPU time, of files, of memory."""
    if error.code == -getattr(signal, "SIGXCPU", 0):
        return Failure(
            "{} was ended: this machine limits CPU time (ulimit -t).".format(name),
            "On a cluster, make it in a job of Slurm; on your laptop: lab setup --slurm",
        )
    if error.code == -getattr(signal, "SIGXFSZ", 0):
        return Failure(
            "{} was ended: this machine limits the size of files (ulimit -f).".format(name),
            "Ask whoever runs the machine.",
        )
    if error.code == -getattr(signal, "SIGKILL", 9):
        return Failure(
            "{} was killed, by someone or because it ran out of memory or CPU time.".format(name),
            "Login nodes of clusters do that; to make it in a job of Slurm, on your laptop:"
            " lab setup --slurm",
        )
    return None


def _resolve_paths(prefix: Path) -> None:
    """Make a program that was started as `.venv/bin/python` import by the resolved path.

    Else what it imports after an exchange would come from another environment.
    """
    folders = [*prefix.glob("lib/python3*/site-packages"), prefix / "Lib" / "site-packages"]
    for folder in folders:
        if folder.is_dir() and os.name != "nt":
            (folder / _PTH).write_text(_RESOLVE, encoding="utf-8")


def prove(manager: Manager, work: Work) -> Record:
    """Compare what is installed with the lists, and compute with torch; write the record.

    Raises Failure when the environment is not what the lists ask for, or torch cannot be used.
    """
    found = inventory(work.prefix, work.lists)
    device = prove_device(work.prefix)
    if device is None or found is None:
        raise Failure(
            "torch was installed but cannot be imported.",
            "Run the command again. If that does not help, send the lines above to whoever runs "
            "the machine.",
        )
    problems = manager.problems(work.prefix, work.lists, found, {})
    if problems:
        raise Failure(
            "{} installed something other than what the lists ask for: {}.".format(
                manager.name, "; ".join(problems[:3])
            ),
            work.lists.renewal,
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
        needed=needs(work.prefix, manager.wanted(work, found), ()).needed,
    )
    write_record(work.prefix, record)
    return record
