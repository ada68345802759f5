"""Ctrl-C while following a run: the command ends, and the run continues."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..context import Context
from ..next_steps import Known, what_next
from ..signals import interrupt_on_signals

__all__ = ["detach_on_interrupt"]

_STOPPED_LOOKING = 1


@contextmanager
def detach_on_interrupt(context: Context, run: str, *, where: str) -> Iterator[None]:
    """Report, when Ctrl-C ends the context, that the run continues; then end the command.

    So do signals: who sends one to `lab` must not take it for one that has ended the run.
    """
    try:
        with interrupt_on_signals():
            yield
    except KeyboardInterrupt:
        context.console.note(f"\nThe run continues on {where}. To end it: lab stop {run}")
        context.console.next_step(what_next(context, Known(running=[run])))
        sys.exit(_STOPPED_LOOKING)
