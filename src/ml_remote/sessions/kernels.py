"""`lab stop --kernel`, and what `lab status` says of kernels that outlive the editor's window."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from ..context import Context
from ..errors import LabError, UsageError
from ..lasting_kernels import (
    AT_LOGOUT,
    Kernels,
    LastingKernel,
    end_local_kernel,
    kernel_document,
    list_kernels,
    list_local_kernels,
    named,
)
from ..next_steps import Known, what_next
from ..project import Project
from ..runs.labs import find_lab
from ..scripts import run_script
from ..ui.words import duration_in_words, in_gib

__all__ = ["about_kernels", "show_local_kernels", "stop_kernel"]

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
        yield f"{in_gib(kernel.memory / 1024)} GiB"
    if kernel.card_memory is None:
        yield "perhaps memory on the card"
    elif kernel.card_memory:
        yield f"{in_gib(kernel.card_memory / 1024)} GiB on the card"
    yield "shown in a window" if kernel.is_shown else "in no window"
    yield "busy" if kernel.is_busy else "idle"
    if kernel.has_old_environment:
        yield "old environment until restarted"


def show_local_kernels(context: Context, *, as_json: bool = False) -> None:
    """Run `lab status --local`: show the kernels of this project on this computer."""
    console, known = context.console, list_local_kernels(context.project.root)
    if as_json:
        console.json({"kernels": [kernel_document(kernel) for kernel in known.all]})
        return
    console.say("This computer")
    for line in about_kernels(known):
        console.say(f"  {line}")
    if not known.all:
        console.say("  This project has no live kernel here.")
    console.next_step(what_next(context, Known(is_local=True)))


def stop_kernel(
    context: Context, lab: str, *, alias: str | None = None, local: bool = False
) -> None:
    """Run `lab stop --kernel`: end the kernel of a lab; without `lab`, the only one.

    Raises UsageError when it is not clear which one is meant, and LabError.
    """
    if local:
        _stop_here(context, lab)
        return
    machine, console = context.machine(alias), context.console
    known = list_kernels(machine)
    if not known.is_known:
        raise LabError(
            f"The kernels on {machine.alias} cannot be listed: another version of lab is "
            "installed there.",
            hint="lab setup",
        )
    kernel = _choose(known.all, lab, context.project, where=machine.alias)
    if kernel is None:
        console.say(f"This project has no live kernel on {machine.alias}.")
        console.next_step(what_next(context))
        return
    done = run_script(machine, "end-kernel", kernel.id, timeout=_PATIENCE)
    if f"ended\t{json.dumps({'id': kernel.id})}" not in done.stdout.split("\n"):
        if any(one.id == kernel.id for one in list_kernels(machine).all):
            raise LabError(
                f"The kernel of {kernel.lab} could not be ended.",
                hint="Try again: lab stop --kernel LAB",
            )
        console.say(f"The kernel of {kernel.lab} has just ended.")
    else:
        console.say(f"The kernel of {kernel.lab} was ended, with everything it had started.")
    console.next_step(what_next(context))


def _stop_here(context: Context, lab: str) -> None:
    """End the kernel of a lab on this computer."""
    project, console = context.project, context.console
    kernel = _choose(list_local_kernels(project.root).all, lab, project, where="this computer")
    if kernel is None:
        console.say("This project has no live kernel on this computer.")
    elif end_local_kernel(project.root, kernel):
        console.say(f"The kernel of {kernel.lab} was ended, with everything it had started.")
    else:
        console.say(f"The kernel of {kernel.lab} has just ended.")
    console.next_step(what_next(context, Known(is_local=True)))


def _choose(
    kernels: Sequence[LastingKernel], lab: str, project: Project, *, where: str
) -> LastingKernel | None:
    """Return the kernel that is meant; None where none lives. Raises UsageError."""
    if not lab:
        if len(kernels) > 1:
            raise UsageError(
                f"{len(kernels)} kernels are live on {where}: {named(kernels)}.",
                hint="Name the lab whose kernel should end: lab stop --kernel LAB",
            )
        return next(iter(kernels), None)
    plain = _without_ending(PurePath(lab).as_posix())
    names = (plain, _without_ending(_named_here(lab, project)))
    exact = [kernel for name in names for kernel in kernels if kernel.lab == name][:1]
    found = exact or [kernel for kernel in kernels if kernel.lab.endswith(f"/{plain}")]
    if len(found) == 1:
        return found[0]
    said = f"there are kernels for {named(kernels)}" if kernels else "none lives"
    raise UsageError(
        f"No kernel on {where} belongs to {lab}: {said}."
        if not found
        else f"{lab} matches several kernels on {where}: {named(found)}.",
        hint="To see them: lab status",
    )


def _without_ending(name: str) -> str:
    return name.removesuffix(".py").removesuffix(".ipynb")


def _named_here(lab: str, project: Project) -> str:
    """Return the lab of the project that is meant in the current folder; empty for none."""
    try:
        return find_lab(project, lab)
    except UsageError:
        return ""
