"""One transfer of `data/` at a time, for one project here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import LabError
from ...files import try_lock
from ...state import make_state

__all__ = ["only_one"]


@contextmanager
def only_one(state: Path) -> Iterator[Path]:
    """Hold the lock of the project with this `.lab`; yield the folder of the index.

    Raises LabError when another command holds it: it may do so for hours.
    """
    folder = make_state(state) / "data"
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not try_lock(descriptor):
            raise LabError(
                "Another `lab data` command is copying files of this project.",
                hint="Wait until it has ended, then run the command again",
            )
        yield folder
    finally:
        os.close(descriptor)
