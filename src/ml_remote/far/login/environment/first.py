"""A first environment: an interpreter and a kernel, so that an editor finds what it looks for.

A window of VS Code that finds no interpreter does not look again. Where there is no environment,
`.venv` leads to this one within seconds; the complete one takes its place. The kernel waits for it
(env/lasting/before_setup.py). `.lab/environment.incomplete` says to everything else that it is not
of use.
"""

import os
from contextlib import suppress

from ..kernel_rules import read_rules
from .carried import carried_wheels
from .environments import FIRST, Environments, remove
from .failures import Failure, ManagerError
from .hook import update_hook
from .managers import Manager, Work
from .managers.uv import Uv
from .output import event, say

__all__ = ["make_first"]


def make_first(environments: Environments, manager: Manager, current: Work) -> None:
    """Point `.venv` at a first environment, if there is none and that only takes seconds.

    Whoever looks at this setup hears of one that another setup has left, too.

    Without one, setup continues. Where a complete one is kept, `.venv` is left for that.
    """
    if environments.is_first:
        _tell()
        return
    is_quick = isinstance(manager, Uv) and carried_wheels() is None and os.name != "nt"
    is_there = environments.link.exists() or environments.spare is not None
    if is_there or not is_quick or not read_rules(environments.root).keep:
        return
    assert isinstance(manager, Uv)
    work = current._replace(prefix=environments.new(FIRST))
    try:
        if not manager.make_first(work):
            remove(work.prefix)
            return
        update_hook(work.prefix, environments.root, wanted=True)
        environments.incomplete.write_text(FIRST, encoding="ascii")
        environments.exchange(work.prefix)
    except (Failure, ManagerError, OSError):
        with suppress(OSError):
            remove(work.prefix)
        return
    _tell()


def _tell() -> None:
    if not event("first"):
        say("You can open an editor now: its cells wait for the environment.")
