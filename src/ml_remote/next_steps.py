"""The next step, from the state of the project: the one place that decides what `Next:` shows.

A command tells what it has learnt on its way. Nobody asks the machine anything for the sake of a
hint: what is not known counts as in order, and the command that is proposed says so if it is not.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from .context import Context
from .errors import LabError
from .project import Project

__all__ = ["Known", "look_at", "read_environment", "what_next", "what_to_open"]

_STATES = ("complete", "incomplete", "missing")
_A_LIST = (
    "list the packages in requirements.txt, or run a program that needs none: lab run -- COMMAND"
)
_WITHOUT_PROJECT = "git status shows what is left"
_WITHOUT_LABS = "lab run -- COMMAND"
_WITHOUT_LABS_HERE = "run your programs with .venv/bin/python"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a command knows about the project and its machine."""

    is_project: bool = True
    """Whether there is a project any more."""
    is_written: bool = True
    """Whether what was asked for was done; otherwise it was only shown (--dry-run)."""
    left: str | None = None
    """What this very step leaves to the person, such as to commit what it has changed."""
    has_way: bool = True
    """Whether the alias leads to a machine, by whatever SSH configuration."""
    is_connected: bool = True
    """Whether the way there is known to work."""
    is_asked: bool = True
    """Whether the machine was asked for the state of things."""
    is_sent: bool = True
    """Whether the project is there."""
    has_environment: bool = True
    """Whether its environment is there, and complete."""
    lists: str | None = None
    """The hash of the lists that the environment was made from; None if that is not known."""
    running: Sequence[str] = ()
    """The ids of the runs that are not over, the latest last."""
    interrupted: str = ""
    """The id of a sweep that has sets left, and on which nobody is at work."""
    session: str | None = None
    """The command that reaches a session which runs there, such as `lab jupyter`."""
    results: str | None = None
    """How to look at results that are here, or to bring them."""
    data: str | None = None
    """The direction in which data is to be copied: push or pull."""
    secrets: int | None = None
    """How many secrets are kept on the machine; None if that is not known."""
    is_local: bool = False
    """Whether the machine is this computer."""


def what_next(context: Context, known: Known | None = None, *, after: str = "") -> str:
    """Return what to run next; `after` is the command that was just run, which is not proposed."""
    known = known or Known()
    if not known.is_project:
        return known.left or _WITHOUT_PROJECT
    proposals = _proposals(context.project, known)
    return next(step for step in proposals if step != after)


def look_at(folder: str) -> str:
    """Return the step that looks at results in this folder of outputs/."""
    return f"look at {shlex.quote(f'outputs/{folder}')}"


def what_to_open(project: Project) -> str:
    """Return what to open in an editor, as the object of a sentence."""
    return project.example if project.has_labs else "a script with cells (# %%)"


def read_environment(fields: Sequence[str]) -> Known:
    """Return what a script on the machine says of the environment: its state, and its lists or -.

    Another answer tells nothing.
    """
    state, lists = (*fields, "", "")[:2]
    if state not in _STATES:
        return Known()
    is_hash = bool(lists) and set(lists) <= set("0123456789abcdef")
    return Known(has_environment=state == "complete", lists=lists if is_hash else None)


def _proposals(project: Project, known: Known) -> list[str]:
    """Return what may come next, the most urgent first; of the last, one is always left."""
    here = " --local" if known.is_local else ""
    steps = []
    if not known.is_written:
        steps.append("the same without --dry-run")
    if known.left:
        steps.append(known.left)
    if not known.has_way:
        steps.append("lab connect user@address")
    elif not known.is_connected:
        steps.append("lab connect")
    if not known.is_sent:
        steps.append("lab up")
    if not known.has_environment or _is_older(project, known):
        steps.append(_how_to_set_up(project, here))
    if not known.is_asked:
        steps.append("lab status")
    if known.running:
        steps.append(f"lab attach {known.running[-1]}")
    if known.interrupted:
        steps.append(f"lab run --resume {known.interrupted}")
    if known.results:
        steps.append(known.results)
    if known.session:
        steps.append(known.session)
    if known.data:
        steps.append(f"lab data {known.data}")
    if known.secrets == 0:
        steps.append("lab secret set NAME")
    if project.has_labs:
        steps.append(f"lab run {project.example}{here}")
    else:
        steps.append(_WITHOUT_LABS_HERE if known.is_local else _WITHOUT_LABS)
    return [*steps, "lab status"]


def _how_to_set_up(project: Project, here: str) -> str:
    """Return what makes the environment; where no list is there, what `lab setup` asks for."""
    from .package_lists.local import texts_here
    from .package_lists.sources import how_to_list

    try:
        has_lists = bool(texts_here(project.root))
    except LabError:  # told by what reads the lists
        has_lists = True
    if has_lists:
        return f"lab setup{here}"
    return how_to_list(project.root) or _A_LIST


def _is_older(project: Project, known: Known) -> bool:
    """Return whether the environment was made from other lists than those that are here."""
    if known.lists is None:
        return False
    from .package_lists.local import digest_here

    try:
        return known.lists != digest_here(project.root)
    except LabError:  # told by what reads the lists
        return False
