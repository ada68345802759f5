"""`python3 .lab/far/<hash> environment [--check | --tags]`, in the project's folder."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import List, Optional

from ..caches import cache_variables, note_caches
from ..kernel_rules import read_rules
from .caches import check_cache, choose_cache
from .carried import unpack_python, use_carried
from .choosing import choose_manager
from .commands import end_with_signals, run
from .environments import Environments, interpreter_of
from .failures import Failure, ManagerError
from .first import make_first
from .hook import update_hook
from .lists import Lists, find_lists
from .lock import locked
from .making import add_in_place, explained, make_beside, make_in_place
from .managers import Manager, Work
from .obstacles import check_merged, check_obstacles, check_room, check_torch_exists, refused
from .output import note_in, say, show_failure, step
from .record import Record
from .settings import Settings, read_settings
from .state import State, look
from .target import describe

__all__ = ["main"]


def main(arguments: List[str]) -> int:
    """Make or update the environment; with `--check` only say if there is something to do.

    With `--tags` print which wheels the machine takes.
    """
    end_with_signals()
    root = Path(os.path.realpath(os.getcwd()))
    try:
        if "--tags" in arguments:
            print(describe(root, read_settings(root)))
            return 0
        use_carried()
        unpack_python()
        return _set_up(root, is_check="--check" in arguments)
    except Failure as failure:
        show_failure(failure)
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # a full disk, a file that is not ours: an environment is not lost
        hint = (
            "Check that the disk has space and that the folder is yours, then run the command "
            "again."
        )
        told = Failure("The environment could not be set up: {}.".format(error), hint)
        is_refusal = isinstance(error, PermissionError) and error.filename
        show_failure((refused(error) if is_refusal else None) or told)
        return 1


def _set_up(root: Path, *, is_check: bool) -> int:
    settings, lists = read_settings(root), find_lists(root)
    if lists.remark:
        say(lists.remark)
    check_cache(root, settings)
    caches = cache_variables(root, settings.cache)
    note_caches(root, caches)
    os.environ.update(caches)
    environments = Environments(root, settings.folder)
    state = look(environments, settings, lists)
    if not state.reason and state.record is not None:
        _update_hook(environments)
        if not is_check:
            _tidy(environments)
        _make_missing_notebooks(root, environments.link)
        say("The environment is up to date: {}".format(state.record.device))
        return 0
    if is_check:
        say("The environment is not up to date: {}.".format(state.reason))
        return 1
    with locked(environments.lock):
        note_in(environments.lock / "step")
        environments.repair()
        state, spare = look(environments, settings, lists), environments.spare
        try:
            record = _bring_up_to_date(environments, settings, lists, state, spare)
        except BaseException:
            environments.lead_to_spare(spare)
            raise
        _update_hook(environments)
        note_in(None)
    say("The environment is complete: {}".format(record.device))
    return 0


def _bring_up_to_date(
    environments: Environments,
    settings: Settings,
    lists: Lists,
    state: State,
    spare: Optional[Path],
) -> Record:
    if not state.reason and state.record is not None:  # repaired, or made by another setup
        return state.record
    manager = choose_manager(environments.root, settings, lists, state)
    step(1, "Manager: {}".format(manager.name))
    check_merged(manager, lists)
    check_torch_exists(manager, lists)
    check_obstacles(environments, state)
    environments.remove_unused(spare=spare)
    settings = choose_cache(environments, settings)
    current = Work(
        environments.root,
        environments.current or environments.link,
        lists,
        settings,
        settings.torch,
    )
    if _can_add(environments, manager, state, current):
        step(2, "Adding packages to .venv")
        record = add_in_place(manager, current)
    else:
        check_room(environments, state, manager, lists)
        record = _make(environments, manager, current, state)
    step(4, "Making the missing notebooks")
    _make_missing_notebooks(environments.root, environments.link)
    return record


def _can_add(environments: Environments, manager: Manager, state: State, work: Work) -> bool:
    """Return whether packages can be added in place without a change of what is installed."""
    is_kept = state.works and state.record is not None and state.record.manager == manager.name
    if not is_kept or manager.links or environments.must_change_in_place:
        return False
    is_same = state.record is not None and (state.record.python, state.record.torch) == (
        work.settings.python,
        work.settings.torch,
    )
    return is_same and explained(manager, work, manager.only_adds)


def _make(environments: Environments, manager: Manager, current: Work, state: State) -> Record:
    """Make a new environment and exchange it, or change the one that is there."""
    if environments.changes_in_place:
        step(2, "Changing .venv in place; this downloads several gigabytes the first time")
        step(3, "Checking")
        return make_in_place(environments, manager, current)
    step(2, "Making .venv; this downloads several gigabytes the first time")
    make_first(environments, manager, current)
    work = current._replace(prefix=environments.new(manager.name))
    record = make_beside(manager, work)
    step(3, "Switching .venv to the new environment")
    is_ours = state.record is not None or environments.incomplete.exists()
    keep = None if is_ours else environments.root / time.strftime(".venv-%Y-%m-%d_%H-%M-%S")
    if keep is not None and environments.is_earlier:
        if any(environments.link.iterdir()):
            say("The existing .venv, which lab did not make, is kept as {}.".format(keep.name))
        else:
            environments.link.rmdir()
    environments.exchange(work.prefix, keep=keep)
    if environments.incomplete.exists():
        environments.incomplete.unlink()
    environments.remove_unused()
    return record


def _tidy(environments: Environments) -> None:
    """Remove environments that were replaced and that nobody uses any more."""
    if environments.others():
        with suppress(Failure), locked(environments.lock, patience=0):
            environments.remove_unused()


def _update_hook(environments: Environments) -> None:
    """Make kernels outlive the editor's window, or end with it, as the project's settings say."""
    if environments.current is None:
        return
    try:
        update_hook(
            environments.current, environments.root, wanted=read_rules(environments.root).keep
        )
    except OSError as error:  # an environment that is somebody else's
        say("Kernels will end with the editor's window: {}.".format(error))


def _make_missing_notebooks(root: Path, prefix: Path) -> None:
    """Make the notebooks beside the labs, which git does not track."""
    scripts = sorted((root / "labs").glob("*.py"))
    tool = root / "scripts" / "sync_pairs.py"
    missing = any(not path.with_suffix(".ipynb").exists() for path in scripts)
    if not missing or not tool.is_file():
        return
    try:
        run([str(interpreter_of(prefix)), str(tool), "--missing"], folder=root)
    except ManagerError:
        say(
            "The notebooks could not be made; the lines above say why.",
            "To make them: .venv/bin/python scripts/sync_pairs.py",
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
