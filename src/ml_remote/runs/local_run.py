"""`lab run --local`: all cells of a lab on this computer."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ..context import Context
from ..errors import LabError
from ..far.installed import FAR, install
from ..far.login.variables import REMOVED, SET
from ..jobs.about import Run
from ..jobs.events import ASKING
from ..next_steps import Known, what_next
from ..package_lists.modules import missing_package
from ..package_lists.sources import how_to_add
from ..processes import running
from ..project import Project
from ..ui.text import without_colours
from .labs import find_lab
from .progress import show_progress
from .summary import show_results

__all__ = ["interpreter", "run_locally"]


def run_locally(
    context: Context,
    name: str,
    parameters: Sequence[tuple[str, str]] = (),
    *,
    verbose: bool = False,
) -> None:
    """Run `lab run --local`; the arguments are those of the command line.

    Raises UsageError for a lab or parameter that does not exist, and LabError when there is no
    environment or not every cell ran.
    """
    project, console = context.project, context.console
    run = Run(lab=find_lab(project, name), parameters=tuple(parameters))
    far = install(project.root / FAR)
    command = [str(interpreter(project)), str(far), "headless", *run.words]
    variables: dict[str, str | None] = {
        **dict.fromkeys(REMOVED),
        **SET,
        **ASKING,
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    with (
        running(command, folder=project.root, variables=variables, merge_errors=True) as program,
        show_progress(console, verbose=verbose) as progress,
    ):
        program.send("", close=True)
        for line in program.lines():
            progress.on_line(line)
        returncode = program.wait()
    if returncode != 0:
        progress.show_failure(returncode, setup="lab setup --local")
        package = missing_package(progress.lines, project.root)
        raise LabError(
            f"{run.lab} failed{progress.where}; exit code {returncode}.",
            hint=None if package is None else how_to_add(project.root, package, local=True),
        )
    results = progress.lines[_first_result(progress.lines) :]
    for line in results[:1]:
        console.say(without_colours(line).removesuffix(" Results:"))
    pages = [page for line in results if (page := line.strip()).endswith(".html")]
    # A cell may print such a line, too.
    is_there = bool(pages) and pages[-1].isprintable() and (project.root / pages[-1]).is_file()
    if is_there:
        show_results(console, (project.root / pages[-1]).parent)
    look = f"open {shlex.quote(pages[-1])}" if is_there else None
    if look is None and project.outputs.is_dir():
        look = "look at outputs/"
    known = Known(is_local=True, results=look)
    console.next_step(what_next(context, known, after=f"lab run {shlex.quote(name)} --local"))


def interpreter(project: Project) -> Path:
    """Return the environment's interpreter on Linux and macOS, Windows, Windows with conda."""
    environment = project.root / ".venv"
    places = [
        environment / "bin" / "python",
        environment / "Scripts" / "python.exe",
        environment / "python.exe",
    ]
    for path in places:
        if path.is_file() and not (project.state / "environment.incomplete").exists():
            # Resolved: .venv may be exchanged for a new environment meanwhile.
            return path.parent.resolve() / path.name
    there = environment.is_dir() or environment.is_symlink()
    raise LabError(
        f"The environment on this computer is {'incomplete' if there else 'missing'}.",
        hint="lab setup --local",
    )


def _first_result(lines: Sequence[str]) -> int:
    """Return where a run's own last words begin: how long it took, and its results."""
    starts = [index for index, line in enumerate(lines) if line.startswith("All cells of ")]
    return starts[-1] if starts else 0
