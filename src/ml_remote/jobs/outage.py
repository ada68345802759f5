"""How long to try to reach a lost machine again while somebody follows its work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import UnreachableError

__all__ = ["Outage"]

_LONGEST_ATTEMPT = 60.0  # seconds; what is longer, this computer slept
_MOST_RETURNS = 30
_PAUSE = 2.0  # seconds between attempts to reach the machine again


class Outage:
    """How long the machine has been unreachable while this computer was awake."""

    def __init__(self, alias: str, *, again: str, patience: float) -> None:
        self._alias, self._again, self._patience = alias, again, patience
        self._parent = os.getppid()
        self._returns = 0  # how often it came back and was of no use
        self.end()

    @property
    def lasts(self) -> bool:
        """Whether the connection is lost."""
        return self._since is not None

    def end(self) -> None:
        """Note that the connection is back."""
        self._since: float | None = None
        self._waited = 0.0
        self._returns += 1

    @contextmanager
    def proof(self, progress: Callable[[], int]) -> Iterator[None]:
        """Watch what uses the connection: it has to last for a minute, or to get on.

        A machine that takes every connection and drops it at once would be tried for ever.
        """
        began, before = time.monotonic(), progress()
        try:
            yield
        finally:
            if progress() > before or time.monotonic() - began > _LONGEST_ATTEMPT:
                self._returns = 0

    def wait(self, error: UnreachableError) -> None:
        """Wait until the next attempt; raise UnreachableError when it is to be the last."""
        now = time.monotonic()
        if self._since is not None:
            self._waited += min(now - self._since, _LONGEST_ATTEMPT)
        self._since = now
        is_useless = self._returns > _MOST_RETURNS
        if self._waited > self._patience or is_useless or self._is_orphaned():
            minutes = int(self._waited // 60)
            how_long = f" for {minutes} minutes" if minutes > 1 else ""
            raise UnreachableError(
                f"{self._alias} could not be reached{how_long}: {error.message} "
                f"Work on {self._alias} continues.",
                hint=f"When it is back, follow it again: {self._again}",
            )
        time.sleep(_PAUSE)

    def _is_orphaned(self) -> bool:
        """Return whether whoever started this has ended, and nobody looks on at a terminal."""
        streams = (sys.stdin, sys.stdout, sys.stderr)
        return os.getppid() != self._parent and not any(s and s.isatty() for s in streams)
