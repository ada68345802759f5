"""Kernels that outlive the editor's window: which live on the machine, or on this computer.

`far/login/kernel_list.py` describes them there, a line of JSON each, and here as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import answers
from .context import Context
from .machine import Machine
from .parsing import parse_json
from .scripts import run_script

__all__ = [
    "AT_LOGOUT",
    "Kernels",
    "LastingKernel",
    "end_local_kernel",
    "kernel_document",
    "list_kernels",
    "list_local_kernels",
    "named",
    "parse_kernels",
    "tell_after_setup",
]

AT_LOGOUT = {
    "ends": "ends what you left running: runs, sessions and kernels (KillUserProcesses)",
}
"""What happens on a machine whose systemd-logind ends things, by the word of `logout.sh`."""
_STATES = ("ends", "keeps")
_LATEST = 2**33  # seconds since 1970: in the year 2242


@dataclass(frozen=True, kw_only=True)
class LastingKernel:
    """A kernel that lives on the machine; sizes are in bytes, None where nobody knows."""

    id: str
    lab: str
    """The pair without its ending, from the project's folder, or absolute."""
    started: datetime
    age: timedelta
    unused: timedelta
    """Since when no window has shown it and no cell has ended."""
    memory: int | None
    card_memory: int | None
    is_shown: bool
    """Whether a window shows it now."""
    is_busy: bool
    """Whether a cell runs."""
    has_old_environment: bool
    """Whether it began with an environment that another one has replaced since."""


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """A machine's report of the kernels of a project."""

    all: Sequence[LastingKernel] = ()
    is_known: bool = True
    """Whether the tool that is installed there could tell."""
    at_logout: str = ""
    """`ends` or `keeps`, as `logout.sh` has it; empty if it is not known."""


def list_kernels(machine: Machine) -> Kernels:
    """Ask the machine. Raises LabError."""
    return parse_kernels(run_script(machine, "list-kernels").stdout)


def list_local_kernels(root: Path) -> Kernels:
    """Return those of the project on this computer; on Windows there are none."""
    if os.name == "nt":
        return Kernels()
    from .far.login.kernel_list import describe_all

    lines = (f"kernel\t{json.dumps(values)}\n" for values in describe_all(os.path.realpath(root)))
    return parse_kernels("".join(lines))


def end_local_kernel(root: Path, kernel: LastingKernel) -> bool:
    """End a kernel on this computer; return whether it lived."""
    from .far.login.kernel_list import end_named

    return bool(end_named(os.path.realpath(root), [kernel.id]))


def parse_kernels(output: str) -> Kernels:
    """Return what a script has printed; lines about other things are left alone."""
    found: dict[str, LastingKernel] = {}
    is_known, at_logout = True, ""
    for line in output.split("\n"):
        word, _, rest = line.partition("\t")
        if word == "kernel":
            kernel = _read(rest)
            if kernel is None:
                is_known = False
            else:
                found[kernel.id] = kernel
        elif word == "kernels-fault":
            is_known = False
        elif word == "logout" and rest in _STATES:
            at_logout = rest
    return Kernels(all=tuple(found.values()), is_known=is_known, at_logout=at_logout)


def _read(text: str) -> LastingKernel | None:
    """Return the kernel that one line describes; None if it cannot be read."""
    try:
        values = parse_json(text)
        return LastingKernel(
            id=answers.checked(answers.KERNEL, values["id"]),
            lab=answers.checked(answers.KERNEL_LAB, values["lab"]),
            started=datetime.fromtimestamp(answers.number(values["started"], most=_LATEST), UTC),
            age=_duration(values["seconds"]),
            unused=_duration(values["unused_seconds"]),
            memory=_size(values["memory"]),
            card_memory=_size(values["card_memory"]),
            is_shown=values["is_shown"] is True,
            is_busy=values["is_busy"] is True,
            has_old_environment=values["has_old_environment"] is True,
        )
    except (ValueError, KeyError, TypeError, answers.UnusableAnswerError):
        return None


def _duration(value: object) -> timedelta:
    return timedelta(seconds=answers.number(value, most=_LATEST))


def _size(value: object) -> int | None:
    return None if value is None else answers.number(value)


def kernel_document(kernel: LastingKernel) -> dict[str, Any]:
    """Return what `--json` prints of a kernel; docs/contract.md lists the keys."""
    values = asdict(kernel)
    age, unused = values.pop("age"), values.pop("unused")
    return values | {
        "started": kernel.started.astimezone().isoformat(),
        "seconds": int(age.total_seconds()),
        "unused_seconds": int(unused.total_seconds()),
    }


def tell_after_setup(context: Context, machine: Machine) -> None:
    """Report which kernels use the old environment, and what ends when the person logs out.

    A machine that cannot tell says nothing. Raises LabError when it cannot be reached.
    """
    if not context.project.settings.keep_kernels:
        return
    known = list_kernels(machine)
    older = [kernel for kernel in known.all if kernel.has_old_environment]
    if older:
        context.console.note(
            f"The kernels of {named(older)} use the old environment until Restart."
        )
    if known.at_logout in AT_LOGOUT:
        context.console.warn(
            f"When your last connection ends, {machine.alias} {AT_LOGOUT[known.at_logout]}."
        )


def named(kernels: Sequence[LastingKernel]) -> str:
    """Return the labs of kernels, as a part of a sentence."""
    return ", ".join(kernel.lab for kernel in kernels)
