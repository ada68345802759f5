"""What uv and pip are told to install: the lists under the lock, and the project itself."""

from typing import List

from ..carried import carried_wheels
from .base import Work

__all__ = ["requirement_options"]


def requirement_options(work: Work) -> List[List[str]]:
    """Return the options of each `pip install` that is needed, in order."""
    wheels = carried_wheels()
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    constraints = ["--constraint", str(work.lists.lock)] if work.lists.lock else []
    if work.lists.requirements is None:
        return [[*source, *constraints, "--editable", ".[lab,dev]"]]
    return [
        [*source, *constraints, "--requirement", str(work.lists.requirements)],
        [*source, "--no-deps", "--editable", "."],
    ]
