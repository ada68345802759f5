"""The ways to start a lab. A new one is a module of this package, and a line in this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UsageError
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

    Raises UsageError for options of several launchers, or of one that is not asked for.
    """
    given = given_options(options)
    asked = [one for one in LAUNCHERS.values() if given.intersection(one.asked_by)]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(one.flags for one in asked)} cannot be combined.")
    chosen = asked[0] if asked else _DEFAULT
    for other in LAUNCHERS.values():
        alone = [option.opts[0] for option in other.options if option.name in given]
        if other is not chosen and alone:
            raise UsageError(f"{', '.join(alone)} can only be used with {other.flags}.")
    return chosen
