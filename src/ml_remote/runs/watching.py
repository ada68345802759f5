"""Looking on while a run goes on, which needs nobody to do so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..closing import closing_on_signals
from ..ui.console import Console

__all__ = ["watching"]

_STOPPED_LOOKING = 1


@contextmanager
def watching(console: Console, run: str, *, where: str) -> Iterator[None]:
    """Say, when Ctrl-C ends the context, that the run continues; end the command then.

    So do signals: who sends one to `lab` must not take it for one that has ended the run.
    """
    try:
        with closing_on_signals():
            yield
    except KeyboardInterrupt:
        console.note(f"\nThe run goes on on {where}. To end it: lab stop {run}")
        console.next_step(f"lab attach {run}")
        sys.exit(_STOPPED_LOOKING)
