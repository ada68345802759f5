"""Exit codes: those of a program that a person runs, or lab's own.

A script must be able to tell them apart. So where a command ends with the code of a program,
whatever `lab` itself fails at has one code: a wrong option, a lost connection, Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile

__all__ = ["OWN_FAILURE", "own_failure"]

OWN_FAILURE = 125
"""The exit code of lab's own failures where the other codes are those of a person's program."""


def own_failure(arguments: Sequence[str]) -> int | None:
    """Return the exit code of lab's own failures in this command line; None: each has its own.

    It is decided before the command line is read: that may fail, too.
    """
    name, *rest = [*dropwhile(lambda word: word.startswith("-"), arguments), ""]
    is_of_program = {
        "attach": True,
        "run": "--" in rest,
        "runs": "--wait" in rest,
        "shell": True,
    }
    return OWN_FAILURE if is_of_program.get(name) else None
