"""What a kernel tells the person: the first lines of a window's first cell, and `%kernel`."""

from __future__ import annotations

import time
import types
from collections.abc import Mapping, Sequence

from ...login.kernels import Kernel, is_busy

__all__ = ["connected", "count_variables", "describe"]

_SHOWN = 10  # lines of what was printed meanwhile


def connected(kernel: Kernel, *, variables: int, unseen: Sequence[str], is_outdated: bool) -> str:
    """Return the first lines in a window that shows a kernel which lives already.

    An outdated one does not have the environment that the last setup made.
    """
    lines = []
    if unseen:
        left = len(unseen) - _SHOWN
        more = f" (%kernel shows {left} more lines)" if left > 0 else ""
        lines = [f"Printed while no window was open{more}:", *unseen[-_SHOWN:], ""]
    started = f"Connected to the kernel started at {moment(kernel.started)}"
    lines.append(f"{started} ({_counted(variables, 'variable')}). Restart gives a fresh one.")
    if is_outdated:
        lines.append("The environment has changed since. Restart uses the new one.")
    return "\n".join([*lines, ""])


def describe(
    kernel: Kernel, *, variables: int, lines: Sequence[str], others: Sequence[Kernel]
) -> str:
    """Return what `%kernel` says."""
    name = f"The kernel of {kernel.lab}" if kernel.lab else "This kernel, which belongs to no lab,"
    life = "It outlives its window." if kernel.lab else "It ends with its window."
    said = [
        f"{name} started at {moment(kernel.started)}; process {kernel.pid},"
        f" {_counted(variables, 'variable')}. {life}"
    ]
    if lines:
        said += [f"Printed recently ({_counted(len(lines), 'line')}):", *lines]
    if others:
        said += ["Other kernels on this machine:"]
    for other in others:
        state = "a cell is running" if is_busy(other) else "idle"
        place = "" if other.root == kernel.root else f" in {other.root}"
        said.append(f"  {other.lab}{place}: since {moment(other.started)}, {state}")
    return "\n".join([*said, ""])


def count_variables(names: Mapping[str, object], hidden: Mapping[str, object]) -> int:
    """Return how many variables the person has made."""
    return sum(
        not name.startswith("_") and name not in hidden and not isinstance(value, types.ModuleType)
        for name, value in names.items()
    )


def moment(seconds: float) -> str:
    """Return a time as people say it: with the day, unless it is today."""
    then = time.localtime(seconds)
    is_today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M" if is_today else "%H:%M on %d %B", then)


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
