"""`python3 .lab/far/<hash> environment [--check]`, in the project's folder."""

import os
import sys
import time
from pathlib import Path
from typing import List

from .choosing import choose_manager
from .commands import end_with_signals, run
from .failures import Failure, ManagerError
from .lists import find_lists
from .lock import locked
from .making import make_beside, make_in_place, prove
from .managers import Work
from .obstacles import check_obstacles
from .places import Places, interpreter_of
from .settings import Settings, read_settings
from .speech import say, show_failure, step
from .state import State, look

__all__ = ["main"]


def main(arguments: List[str]) -> int:
    """Make or update the environment; with `--check` only say if there is something to do."""
    end_with_signals()
    root = Path(os.path.realpath(os.getcwd()))
    try:
        return _set_up(root, is_check="--check" in arguments)
    except Failure as failure:
        show_failure(failure)
        return 1
    except KeyboardInterrupt:
        return 130


def _set_up(root: Path, *, is_check: bool) -> int:
    settings, lists = read_settings(root), find_lists(root)
    places = Places(root, settings.folder)
    if not is_check:
        places.repair()
    state = look(places, settings, lists)
    if not state.reason and state.record is not None:
        _make_missing_notebooks(root, state)
        say("The environment is up to date: {}".format(state.record.device))
        return 0
    if is_check:
        say("The environment is not up to date: {}.".format(state.reason))
        return 1
    with locked(places.lock):
        _carry_out(places, settings, state)
    return 0


def _carry_out(places: Places, settings: Settings, state: State) -> None:
    root, lists = places.root, find_lists(places.root)
    manager = choose_manager(root, settings, state)
    step(1, "Manager: {}".format(manager.name))
    state = _set_foreign_aside(places, state)
    check_obstacles(places, state)
    in_place = places.must_change_in_place
    prefix = places.link if in_place else places.new(manager.name)
    work = Work(root, prefix, lists, settings, settings.torch)
    step(2, "Making .venv; this downloads several gigabytes the first time")
    if in_place:
        make_in_place(places, manager, work, state)
    else:
        make_beside(places, manager, work)
    step(3, "Making the notebooks that are missing")
    _make_missing_notebooks(root, State(prefix, None, ""))
    step(4, "Checking")
    record = prove(manager, work)
    if in_place:
        if places.incomplete.exists():
            places.incomplete.unlink()
    else:
        places.exchange(prefix)
        places.remove_unused()
    say("The environment is complete: {}".format(record.device))


def _set_foreign_aside(places: Places, state: State) -> State:
    """Keep a `.venv` that something else made, under another name; return what is left."""
    is_ours = state.record is not None or places.incomplete.exists() or places.must_change_in_place
    if is_ours or not places.link.is_dir() or places.link.is_symlink():
        return state
    if not any(places.link.iterdir()):
        places.link.rmdir()
        return state
    kept = places.root / time.strftime(".venv-%Y-%m-%d_%H-%M-%S")
    try:
        places.link.rename(kept)
    except OSError:
        raise Failure(
            ".venv was made by something else and cannot be moved away.",
            "Move it yourself, then run this again.",
        )
    say("The .venv that was here was not made by this script; it is kept as {}.".format(kept.name))
    return State(None, None, state.reason)


def _make_missing_notebooks(root: Path, state: State) -> None:
    """Make the notebooks beside the labs, which git does not track."""
    scripts = sorted((root / "labs").glob("*.py"))
    tool = root / "scripts" / "sync_pairs.py"
    missing = any(not path.with_suffix(".ipynb").exists() for path in scripts)
    if state.prefix is None or not missing or not tool.is_file():
        return
    try:
        run([str(interpreter_of(state.prefix)), str(tool), "--missing"], folder=root)
    except ManagerError:
        say(
            "The notebooks could not be made; the lines above say why.",
            "To make them: .venv/bin/python scripts/sync_pairs.py",
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
