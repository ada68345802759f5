"""Looking on while a run goes on, which needs nobody to do so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UnreachableError
from ..ui import console

__all__ = ["watching"]

_STOPPED_LOOKING = 1


@contextmanager
def watching(run: str, *, where: str) -> Iterator[None]:
    """Say, when Ctrl-C or a lost connection ends the context, that the run goes on.

    Ctrl-C then ends the command. Raises UnreachableError with the command that looks on again.
    """
    try:
        yield
    except KeyboardInterrupt:
        console.note(f"\nThe run goes on on {where}. To end it: lab stop {run}")
        console.next_step(f"lab attach {run}")
        sys.exit(_STOPPED_LOOKING)
    except UnreachableError as error:
        raise UnreachableError(
            f"{error.message} The run is not affected by that.", hint=f"lab attach {run}"
        ) from None
