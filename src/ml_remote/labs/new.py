"""`lab new`: a lab that runs at once, on made-up data, until it is pointed at one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from ..context import Context
from ..errors import LabError
from ..next_steps import Known, what_next
from ..package_lists.lock import LOCK, versions
from ..project import Project
from .names import check_is_free, check_name
from .notebook import note_pair, notebook_of

__all__ = ["new"]

_WIDTH = 100  # of a line, as the projects' own linter has it
_PAIRS = "scripts/sync_pairs.py"
_LIBRARY = {
    "images": ("data", "evaluation", "plots", "runs", "training"),
    "table": ("plots", "runs"),
    "empty": ("runs",),
}
"""The modules of the project's package that a lab of each kind imports."""
_OWN_DATA = {
    "images": (
        'It runs at once, on shapes that it draws. To use your own images: folder = "data/..." in '
        "its first cell, with a subfolder for each class."
    ),
    "table": (
        'It runs at once, on a table that it computes. To use your own: table = "data/..." in '
        "its first cell."
    ),
    "empty": "It runs at once: a parameters cell, a figure and a number. Add your own cells.",
}


def new(context: Context, name: str, *, kind: str) -> None:
    """Run `lab new`. Raises LabError; nothing is changed then."""
    project = context.project
    check_name(
        name, imported=_imported(project), again="" if kind == "images" else f" --kind {kind}"
    )
    text = _script(project, name, kind=kind)
    folder = _folder(project)
    check_is_free(folder, name)
    texts = {folder / f"{name}.py": text}
    if (project.root / _PAIRS).is_file():
        texts[folder / f"{name}.ipynb"] = notebook_of(text)
    _write(folder, texts)
    if len(texts) > 1:
        note_pair(project.state, f"labs/{name}.py", text)
    pair = " and its notebook" if len(texts) > 1 else ""
    context.console.say(f"Written: labs/{name}.py{pair}")
    context.console.say(_OWN_DATA[kind])
    context.console.next_step(
        what_next(context, Known(left=f"lab run labs/{name}.py --push-dirty"))
    )


def _imported(project: Project) -> set[str]:
    """Return the names of the project's package and of the packages in its lock, as modules."""
    lock = project.root / LOCK
    text = lock.read_text(encoding="utf-8", errors="replace") if lock.is_file() else ""
    names = {project.settings.package or "", *versions(text)}
    return {name.lower().replace("-", "_").replace(".", "_") for name in names}


def _write(folder: Path, texts: Mapping[Path, str]) -> None:
    """Write new files, all or none. Raises LabError; a file that is there is never replaced."""
    written = []
    try:
        folder.mkdir(exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        why = error.strerror or str(error)
        raise LabError(f"The lab could not be written into {folder}: {why}.") from None


def _folder(project: Project) -> Path:
    """Return the folder of the labs. Raises LabError where it leads out of the project."""
    folder = project.root / "labs"
    if not folder.resolve().is_relative_to(project.root.resolve()):
        raise LabError(
            f"{folder} leads out of the project, so nothing was written to it.",
            hint="Make labs a folder in the project",
        )
    return folder


def _script(project: Project, name: str, *, kind: str) -> str:
    """Return the text of the lab. Raises LabError where it would import what is not there."""
    package = project.settings.package
    missing = [
        module
        for module in _LIBRARY[kind]
        if package is None or not (project.root / "src" / package / f"{module}.py").is_file()
    ]
    if not missing:
        return _wrapped(_template(kind).replace("@LAB@", name).replace("@PACKAGE@", str(package)))
    if kind == "empty":
        return _template("alone").replace("@LAB@", name)
    where = f"src/{package}" if package else "a package of the project"
    raise LabError(
        f"A lab of the kind {kind!r} imports {', '.join(missing)} from {where}, the template's "
        "library, which this project does not have.",
        hint=f"lab new {name} --kind empty; or name the package in lab.toml, under [project]",
    )


def _template(kind: str) -> str:
    text = files(__package__).joinpath(f"{kind}.py.txt").read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _wrapped(text: str) -> str:
    """Return a script in which no import is longer than a line: a package may have a long name."""

    def wrap(line: re.Match[str]) -> str:
        if len(line[0]) <= _WIDTH:
            return line[0]
        names = "".join(f"    {one},\n" for one in line["names"].split(", "))
        return f"from {line['module']} import (\n{names})"

    return re.sub(r"^from (?P<module>\S+) import (?P<names>.+)$", wrap, text, flags=re.MULTILINE)
