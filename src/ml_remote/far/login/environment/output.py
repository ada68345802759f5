"""The output of a setup: steps and other events (JSON if `lab` asks for it), sentences, errors."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import List, Optional

from .failures import Failure

__all__ = ["event", "note_in", "progress", "say", "show_failure", "step"]

_STEPS = 4
_noted_in: List[Path] = []


def say(*lines: str) -> None:
    """Print lines, at once."""
    for line in lines:
        print(line, flush=True)


def note_in(path: Optional[Path]) -> None:
    """Keep the last step or progress in this file, for those who wait; None: in none any more."""
    _noted_in[:] = [] if path is None else [path]


def step(number: int, heading: str) -> None:
    """Print which of four steps starts."""
    text = "[{}/{}] {}".format(number, _STEPS, heading)
    _note(text)
    if not event("step", number=number, of=_STEPS, heading=heading):
        say(text)


def progress(text: str) -> None:
    """Print the progress of a step."""
    _note(text)
    say(text)


def event(kind: str, **values: object) -> bool:
    """Print a line of JSON if such are asked for; return whether they are."""
    if os.environ.get("LAB_PROGRESS") != "json":
        return False
    say(json.dumps(dict(values, event=kind)))
    return True


def _note(text: str) -> None:
    for path in _noted_in:
        with suppress(OSError):  # a full disk: what is said is enough
            path.write_text(text + "\n", encoding="utf-8")


def show_failure(failure: Failure) -> None:
    """Print a failure as `lab setup` finds it again: `Error: `, then indented hints."""
    sys.stdout.flush()
    print("Error: {}".format(failure.sentence), file=sys.stderr)
    for hint in failure.hints:
        print("  {}".format(hint), file=sys.stderr)
    sys.stderr.flush()
