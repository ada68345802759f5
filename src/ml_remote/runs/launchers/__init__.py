"""The ways to start a lab. A new one is a module of this package, and a line in this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import slurm, ssh, torchrun
from .launcher import Launcher

__all__ = ["LAUNCHERS", "given_options", "launcher_asked_for", "launcher_of"]

_DEFAULT: Launcher = ssh.LAUNCHER
LAUNCHERS: dict[str, Launcher] = {
    launcher.name: launcher
    for launcher in (
        ssh.LAUNCHER,
        slurm.LAUNCHER,
        torchrun.LAUNCHER,
    )
}


def launcher_of(name: str) -> Launcher:
    """Return the launcher of a run; one that is not known here started a job like any other."""
    return LAUNCHERS.get(name, _DEFAULT)


def given_options(options: Mapping[str, Any]) -> set[str]:
    """Return the names of those options that were given: 0 may have been, too."""
    return {name for name, value in options.items() if value is not None and value is not False}


def launcher_asked_for(options: Mapping[str, Any]) -> Launcher:
    """Return the launcher that the options of `lab run` ask for.

    Which of them cannot be combined is in `option_conflicts.py`.
    """
    given = given_options(options)
    asked = [one for one in LAUNCHERS.values() if given.intersection(one.asked_by)]
    return asked[0] if asked else _DEFAULT
