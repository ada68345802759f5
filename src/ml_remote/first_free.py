"""`lab run --first-free a,b`: the first of several machines that has a free card."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from .context import Context
from .errors import LabError, UnreachableError, UsageError
from .status import Gpu, Load, look_at

__all__ = ["first_free", "is_free"]

_IDLE = 0.1  # of a card's memory: what a desktop on it takes


def first_free(context: Context, text: str) -> str:
    """Return the alias of the first machine of `a,b` that answers and has a free card, and say so.

    Raises UsageError for a list that names none, LabError when all of them are busy or silent.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    aliases = list(dict.fromkeys(context.project.alias(name) for name in names))
    if not aliases:
        raise UsageError(
            "--first-free needs the name of a machine.", hint="lab run LAB --first-free gpu1,gpu2"
        )

    def ask(alias: str) -> Load | LabError:
        try:
            return look_at(context.machine(alias))
        except LabError as error:
            return error

    with ThreadPoolExecutor(max_workers=len(aliases)) as pool:
        loads = dict(zip(aliases, pool.map(ask, aliases), strict=True))
    passed_over: list[str] = []
    for alias, load in loads.items():
        reason = _why_not(load)
        if not reason:
            why = f" ({'; '.join(passed_over)})" if passed_over else ""
            context.console.note(f"{alias} has a free card and is used{why}.")
            context.alias(alias)
            return alias
        passed_over.append(f"{alias} {reason}")
    raise LabError(
        f"No machine has a free card: {'; '.join(passed_over)}.",
        hint="To see who uses them: lab status; to run on a busy one: lab run LAB --alias NAME",
    )


def is_free(gpu: Gpu) -> bool:
    """Return whether nobody computes on a card, or has it to themselves."""
    return (
        not gpu.users and not gpu.held_by and (not gpu.total or (gpu.used or 0) < _IDLE * gpu.total)
    )


def _why_not(load: Load | LabError) -> str:
    """Return why a machine is not taken, as the end of a sentence; empty if it is."""
    if isinstance(load, LabError):
        return "cannot be " + ("reached" if isinstance(load, UnreachableError) else "used")
    if load.gpu_fault:
        return "has a failing driver"
    if not load.gpus:
        return "has no card"
    return "" if any(map(is_free, load.gpus)) else "has no free card"
