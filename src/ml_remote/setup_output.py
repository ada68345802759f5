"""The output of a setup, on the machine or on this computer: its steps, and why it failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from .context import Context
from .errors import LabError
from .jobs.events import announced
from .package_lists.sources import how_to_list, source_of
from .settings import SOURCES
from .ui.display import Steps

__all__ = [
    "IN_PLACE",
    "SCRIPT",
    "Output",
    "may_change_in_place",
    "no_script",
    "say_what_is_left_out",
]

SCRIPT = "scripts/setup-environment.sh"
IN_PLACE = "LAB_CHANGE_IN_PLACE"
"""The variable by which a person lets the environment that works be changed itself."""
_LINES_TO_SHOW = 15


class Output:
    """What the script has printed so far: steps, errors, and the last lines."""

    def __init__(self, shown: Steps, on_first: Callable[[], None] | None = None) -> None:
        self._shown = shown
        self._on_first = on_first
        self._lines: deque[str] = deque(maxlen=_LINES_TO_SHOW)
        self._error: list[str] = []

    def add(self, line: str) -> None:
        """Take a line: a step is shown as such, an error kept with the lines that belong to it."""
        if not line.strip():
            return
        if announced(line, event="first") is not None:
            self._tell_of_first()
            return
        step = announced(line, event="step")
        self._lines.append(step or line)
        if step is not None:
            self._shown.begin(step)
        else:
            self._shown.line(line)
        if line.startswith("Error: "):
            self._error = [line.removeprefix("Error: ")]
        elif self._error and line.startswith("  "):
            self._error.append(line.strip())

    def _tell_of_first(self) -> None:
        """Run, once, what waits for an environment in which an editor finds an interpreter."""
        act, self._on_first = self._on_first, None
        if act is not None:
            with self._shown.paused():
                act()

    @property
    def last(self) -> str:
        """The last line."""
        return self._lines[-1] if self._lines else ""

    @property
    def error(self) -> str:
        """The error that it has told, with its hints; empty if it has told none."""
        return "\n".join(self._error)

    def failure(self, place: str, log: str, *, is_local: bool = False) -> LabError:
        """Return the error that says why it failed; `log` is the command that shows all of it.

        If it was made on this computer, what it says to do on a laptop is left out.
        """
        again = "lab setup --local" if is_local else "lab setup"
        hint = f"Fix that, then: {again}\nFull output: {log}"
        if self._error:
            lines = [line for line in self._error if not is_local or "your laptop" not in line]
            said = "\n  ".join(lines)
            return LabError(f"No environment on {place}: {said}", hint=hint)
        shown = "\n".join(f"  {line}" for line in self._lines)
        return LabError(f"No environment on {place}. The last output:\n{shown}", hint=hint)


def may_change_in_place(context: Context, failure: LabError) -> bool:
    """Ask, where there is no room for a second environment, if the one that works may be changed.

    Only somebody at a terminal is asked; to others the failure says which variable allows it.
    """
    if IN_PLACE not in failure.message or not context.console.has_terminal():
        return False
    context.console.error(failure.message)
    return context.console.confirm(
        "Change the working environment in place instead? It is lost if that fails.",
        yes=False,
        default=False,
    )


def no_script(root: Path, place: str) -> LabError:
    """Return the error for a project that does not say how its environment is made."""
    return LabError(
        f"There is nothing to make the environment on {place} from: no {SCRIPT} and no list of "
        f"packages ({', '.join(SOURCES)}).",
        hint=how_to_list(root)
        or "List your packages in requirements.txt, which may be empty, commit it, then: lab up",
    )


def say_what_is_left_out(context: Context) -> None:
    """Warn of hashes in the list of a repository of its own: packages beside it have none."""
    root = context.project.root
    from .package_lists.converting import has_hashes

    if has_hashes(root, source_of(root)):
        context.console.warn(
            f"The hashes in {source_of(root)} are not checked: lab uses only the versions."
        )
