"""What uv and pip are told to install: the lists under the lock, and the project itself."""

from typing import List

from .base import Work

__all__ = ["requirement_options"]


def requirement_options(work: Work) -> List[List[str]]:
    """Return the options of each `pip install` that is needed, in order."""
    constraints = ["--constraint", str(work.lists.lock)] if work.lists.lock else []
    if work.lists.requirements is None:
        return [[*constraints, "--editable", ".[lab,dev]"]]
    return [
        [*constraints, "--requirement", str(work.lists.requirements)],
        ["--no-deps", "--editable", "."],
    ]
