"""Kernels on the machine that outlive the editor's window: which live, and `lab stop --kernel`.

`far/login/kernel_list.py` describes them there, a line of JSON each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from .. import answers
from ..context import Context
from ..errors import LabError, UsageError
from ..machine import Machine
from ..runs.listing import duration_in_words
from ..scripts import ask
from ..ui.text import in_one_line

__all__ = [
    "AT_LOGOUT",
    "Kernels",
    "LastingKernel",
    "about_kernels",
    "kernel_document",
    "list_kernels",
    "parse_kernels",
    "stop_kernel",
]

AT_LOGOUT = {
    "ends": "ends what you left running there: runs, sessions and kernels (KillUserProcesses)",
    "lingers": "ends runs and sessions that you left running there (KillUserProcesses); kernels "
    "stay, as you linger",
}
"""What happens on a machine whose systemd-logind ends things, by the word of `logout.sh`."""
_STATES = ("ends", "lingers", "keeps")
_LATEST = 2**33  # seconds since 1970: in the year 2242
_PATIENCE = 60  # seconds for kernels to end, in which the machine says nothing


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
    """What a machine says of the kernels of a project."""

    all: Sequence[LastingKernel] = ()
    is_known: bool = True
    """Whether the tool that is installed there could tell."""
    at_logout: str = ""
    """`ends`, `lingers` or `keeps`, as `logout.sh` has it; empty if it is not known."""


def list_kernels(machine: Machine) -> Kernels:
    """Ask the machine. Raises LabError."""
    return parse_kernels(ask(machine, "list-kernels").stdout)


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
        values = json.loads(text)
        return LastingKernel(
            id=answers.used(answers.KERNEL, values["id"]),
            lab=answers.used(answers.KERNEL_LAB, values["lab"]),
            started=datetime.fromtimestamp(answers.number(values["started"], most=_LATEST), UTC),
            age=_duration(values["seconds"]),
            unused=_duration(values["unused_seconds"]),
            memory=_size(values["memory"]),
            card_memory=_size(values["card_memory"]),
            is_shown=values["is_shown"] is True,
            is_busy=values["is_busy"] is True,
            has_old_environment=values["has_old_environment"] is True,
        )
    except (ValueError, KeyError, TypeError, RecursionError, answers.UnusableAnswerError):
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


def about_kernels(kernels: Kernels) -> Iterator[str]:
    """Yield the kernels, and what happens at the end of a connection, as lines of a report."""
    for kernel in kernels.all:
        yield f"Kernel      {kernel.lab}  ({', '.join(_about(kernel))})"
    if not kernels.is_known:
        yield "Kernel      unknown: the tool that is installed there cannot list them (lab setup)"
    if kernels.at_logout in AT_LOGOUT:
        yield f"Logging out {AT_LOGOUT[kernels.at_logout]}"


def _about(kernel: LastingKernel) -> Iterator[str]:
    yield f"for {duration_in_words(kernel.age)}"
    if kernel.memory is not None:
        yield _gib(kernel.memory)
    if kernel.card_memory is None:
        yield "perhaps memory on the card"
    elif kernel.card_memory:
        yield f"{_gib(kernel.card_memory)} on the card"
    yield "shown in a window" if kernel.is_shown else "in no window"
    yield "busy" if kernel.is_busy else "idle"
    if kernel.has_old_environment:
        yield "old environment until its restart"


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def stop_kernel(context: Context, lab: str, *, alias: str | None = None) -> None:
    """Carry out `lab stop --kernel`: end the kernel of a lab; without `lab`, the only one.

    Raises UsageError when it is not clear which one is meant, and LabError.
    """
    machine, console = context.machine(alias), context.console
    known = list_kernels(machine)
    if not known.is_known:
        raise LabError(
            f"The kernels on {machine.alias} cannot be listed: the tool that is installed there is "
            "another version.",
            hint="lab setup",
        )
    kernel = _choose(known.all, lab, where=machine.alias)
    if kernel is None:
        console.say(f"No kernel of this project lives on {machine.alias}.")
        console.next_step("lab status")
        return
    done = ask(machine, "end-kernel", kernel.id, timeout=_PATIENCE)
    if f"ended\t{json.dumps({'id': kernel.id})}" not in done.stdout.split("\n"):
        if any(one.id == kernel.id for one in list_kernels(machine).all):
            raise LabError(
                f"The kernel of {kernel.lab} could not be ended.", hint="Try again: lab stop"
            )
        console.say(f"The kernel of {kernel.lab} has just ended.")
    else:
        console.say(f"The kernel of {kernel.lab} was ended, with all it had started.")
    console.next_step("lab status")


def _choose(kernels: Sequence[LastingKernel], lab: str, *, where: str) -> LastingKernel | None:
    """Return the kernel that is meant; None where none lives. Raises UsageError."""
    if not lab:
        if len(kernels) > 1:
            raise UsageError(
                f"{len(kernels)} kernels live on {where}: {_names(kernels)}.",
                hint="Name the lab whose kernel is to end: lab stop --kernel LAB",
            )
        return next(iter(kernels), None)
    plain = str(PurePosixPath(lab.removesuffix(".py").removesuffix(".ipynb")))
    exact = [kernel for kernel in kernels if kernel.lab == plain]
    found = exact or [kernel for kernel in kernels if kernel.lab.endswith(f"/{plain}")]
    if len(found) == 1:
        return found[0]
    said = f"kernels live for {_names(kernels)}" if kernels else "none lives"
    raise UsageError(
        f"No kernel on {where} is that of {in_one_line(lab)}: {said}."
        if not found
        else f"{lab} may mean several kernels on {where}: {_names(found)}.",
        hint="See them: lab status",
    )


def _names(kernels: Sequence[LastingKernel]) -> str:
    return ", ".join(kernel.lab for kernel in kernels)
