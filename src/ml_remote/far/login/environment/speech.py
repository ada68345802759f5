"""What a setup prints: steps and other events (JSON if `lab` asks for it), sentences, errors."""

import json
import os
import sys

from .failures import Failure

__all__ = ["event", "say", "show_failure", "step"]

_STEPS = 4


def say(*lines: str) -> None:
    """Print lines, at once."""
    for line in lines:
        print(line, flush=True)


def step(number: int, heading: str) -> None:
    """Say which of four steps begins."""
    if not event("step", number=number, of=_STEPS, heading=heading):
        say("[{}/{}] {}".format(number, _STEPS, heading))


def event(kind: str, **values: object) -> bool:
    """Print a line of JSON if such are asked for; return whether they are."""
    if os.environ.get("LAB_PROGRESS") != "json":
        return False
    say(json.dumps(dict(values, event=kind)))
    return True


def show_failure(failure: Failure) -> None:
    """Print a failure as `lab setup` finds it again: `Error: `, then indented hints."""
    sys.stdout.flush()
    print("Error: {}".format(failure.sentence), file=sys.stderr)
    for hint in failure.hints:
        print("  {}".format(hint), file=sys.stderr)
    sys.stderr.flush()
