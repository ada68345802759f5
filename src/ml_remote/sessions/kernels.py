"""`lab stop --kernel`, and what `lab status` says of kernels that outlive the editor's window."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from ..context import Context
from ..errors import LabError, UsageError
from ..kernels_there import AT_LOGOUT, Kernels, LastingKernel, list_kernels, named
from ..project import Project
from ..runs.labs import find_lab
from ..runs.listing import duration_in_words
from ..scripts import ask

__all__ = ["about_kernels", "stop_kernel"]

_PATIENCE = 60  # seconds for kernels to end, in which the machine says nothing


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
    kernel = _choose(known.all, lab, context.project, where=machine.alias)
    if kernel is None:
        console.say(f"No kernel of this project lives on {machine.alias}.")
        console.next_step("lab status")
        return
    done = ask(machine, "end-kernel", kernel.id, timeout=_PATIENCE)
    if f"ended\t{json.dumps({'id': kernel.id})}" not in done.stdout.split("\n"):
        if any(one.id == kernel.id for one in list_kernels(machine).all):
            raise LabError(
                f"The kernel of {kernel.lab} could not be ended.",
                hint="Try again: lab stop --kernel LAB",
            )
        console.say(f"The kernel of {kernel.lab} has just ended.")
    else:
        console.say(f"The kernel of {kernel.lab} was ended, with all it had started.")
    console.next_step("lab status")


def _choose(
    kernels: Sequence[LastingKernel], lab: str, project: Project, *, where: str
) -> LastingKernel | None:
    """Return the kernel that is meant; None where none lives. Raises UsageError."""
    if not lab:
        if len(kernels) > 1:
            raise UsageError(
                f"{len(kernels)} kernels live on {where}: {named(kernels)}.",
                hint="Name the lab whose kernel is to end: lab stop --kernel LAB",
            )
        return next(iter(kernels), None)
    plain = _without_ending(PurePath(lab).as_posix())
    names = (plain, _without_ending(_named_here(lab, project)))
    exact = [kernel for name in names for kernel in kernels if kernel.lab == name][:1]
    found = exact or [kernel for kernel in kernels if kernel.lab.endswith(f"/{plain}")]
    if len(found) == 1:
        return found[0]
    said = f"kernels live for {named(kernels)}" if kernels else "none lives"
    raise UsageError(
        f"No kernel on {where} is that of {lab}: {said}."
        if not found
        else f"{lab} may mean several kernels on {where}: {named(found)}.",
        hint="See them: lab status",
    )


def _without_ending(name: str) -> str:
    return name.removesuffix(".py").removesuffix(".ipynb")


def _named_here(lab: str, project: Project) -> str:
    """Return the lab of the project that is meant in the current folder; empty for none."""
    try:
        return find_lab(project, lab)
    except UsageError:
        return ""
