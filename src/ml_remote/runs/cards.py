"""Cards that a run has to itself: whether a machine has that many."""

from __future__ import annotations

from ..errors import LabError
from ..machine import Machine
from ..scripts import ExitCode, run_script
from ..ui.text import in_one_line

__all__ = ["check_cards"]

_TIMEOUT = 90.0  # seconds; a driver may take its time


def check_cards(machine: Machine, far: str, count: int) -> None:
    """Raise LabError unless a machine has so many cards, whoever uses them now."""
    run_script(
        machine,
        "count-cards",
        far,
        str(count),
        timeout=_TIMEOUT,
        explanations={ExitCode.NO_CARDS: lambda said: _too_few(machine, said)},
    )


def _too_few(machine: Machine, said: str) -> LabError:
    reason = in_one_line(said.strip().rpartition("\n")[2]).removeprefix("Error: ")
    return LabError(f"The cards of {machine.alias} cannot be assigned: {reason}", hint="lab status")
