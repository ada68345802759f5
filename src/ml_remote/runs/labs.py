"""The labs of a project: where they are, and what they read."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence
from difflib import get_close_matches

from ..errors import UsageError
from ..jobs.about import Run
from ..project import Project, current_folder

__all__ = ["check_folder", "check_parameters", "find_lab", "known_labs", "sources_of", "text_of"]

_PARAMETERS = re.compile(
    r'^# %%[^\n]*\btags=\[[^\]\n]*"parameters"[^\]\n]*\][^\n]*\n(?P<code>(?:(?!# %%)[^\n]*\n?)*)',
    re.MULTILINE,
)


def find_lab(project: Project, name: str) -> str:
    """Return the lab that is named by its script, by its notebook, or without an ending.

    It is the path of its script, relative to the project, with slashes. Raises UsageError, naming
    the labs of the project.
    """
    root = project.root
    plain = name.removesuffix(".py").removesuffix(".ipynb")
    for place in (current_folder() or root, root, root / "labs"):
        script = place / f"{plain}.py"
        if script.is_file() and script.resolve().is_relative_to(root.resolve()):
            return script.resolve().relative_to(root.resolve()).as_posix()
    known = known_labs(project)
    raise UsageError(
        f"There is no lab {name!r}. The labs of this project: {', '.join(known) or 'none'}.",
        hint=None if known else "To create one: lab new NAME",
    )


def known_labs(project: Project) -> list[str]:
    """Return the labs of a project: their scripts, relative to it, with slashes."""
    return [f"labs/{path.name}" for path in sorted((project.root / "labs").glob("*.py"))]


def check_parameters(source: str, parameters: Sequence[tuple[str, str]]) -> None:
    """Raise UsageError for a parameter that a lab, whose text `source` begins with, does not have.

    A lab without a cell of parameters, or with one that cannot be read, has its own say later.
    """
    cell = _PARAMETERS.search(source)
    if cell is None or not parameters:
        return
    try:
        statements = ast.parse(cell["code"]).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    targets = [one for line in statements if isinstance(line, ast.Assign) for one in line.targets]
    known = [target.id for target in targets if isinstance(target, ast.Name)]
    for name, _ in parameters:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            raise UsageError(
                f"This lab has no parameter {name!r}. It has: {', '.join(known) or 'none'}.",
                hint=f"Did you mean -p {close[0]}?" if close else None,
            )


def sources_of(project: Project, run: Run) -> tuple[str, ...]:
    """Return the files whose text a run is: the lab, or the scripts that a command names."""
    if run.lab:
        return (run.lab,)
    root = project.root
    return tuple(
        dict.fromkeys(
            word.removeprefix("./")
            for word in run.command
            if word.endswith((".py", ".sh")) and not word.startswith(("/", "-"))
            if ".." not in word.split("/") and (root / word).is_file()
        )
    )


def check_folder(project: Project, command: Sequence[str]) -> None:
    """Raise UsageError for a script named from a subfolder: programs run in the project's."""
    here = (current_folder() or project.root).resolve()
    root = project.root.resolve()
    if here == root or not here.is_relative_to(root):
        return
    for word in command:
        if word.endswith((".py", ".sh")) and (here / word).is_file() and not (root / word).exists():
            script = (here / word).resolve()
            if script.is_relative_to(root):
                name = shlex.quote(script.relative_to(root).as_posix())
                raise UsageError(
                    f"{word} is not in the project's folder, where programs run.",
                    hint=f"Name it from there: {name}",
                )


def text_of(project: Project, sources: Sequence[str]) -> str:
    """Return the text of these files and of the package here, one file after the other."""
    package = project.settings.package
    imported = sorted((project.root / "src" / package).glob("*.py")) if package else []
    paths = (*(project.root / source for source in sources), *imported)
    text = b"".join(path.read_bytes() for path in paths)
    return text.decode(errors="replace").replace("\r\n", "\n")
