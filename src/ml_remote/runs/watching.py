"""Looking on while a run goes on, which needs nobody to do so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import OWN_FAILURE, LabError
from ..ui.console import Console

__all__ = ["own_failures", "watching"]

_STOPPED_LOOKING = 1


@contextmanager
def watching(
    console: Console, run: str, *, where: str, exit_code: int = _STOPPED_LOOKING
) -> Iterator[None]:
    """Say, when Ctrl-C ends the context, that the run continues; end the command then."""
    try:
        yield
    except KeyboardInterrupt:
        console.note(f"\nThe run goes on on {where}. To end it: lab stop {run}")
        console.next_step(f"lab attach {run}")
        sys.exit(exit_code)


@contextmanager
def own_failures() -> Iterator[None]:
    """Give the errors of the context an exit code that no program's own can be taken for."""
    try:
        yield
    except LabError as error:
        error.exit_code = OWN_FAILURE
        raise
