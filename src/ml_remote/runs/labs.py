"""The labs of a project: where they lie, and what they read."""

from __future__ import annotations

from ..errors import UsageError
from ..project import Project, current_folder

__all__ = ["find_lab", "known_labs", "source_of"]


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
    known = ", ".join(known_labs(project)) or "none"
    raise UsageError(f"There is no lab {name!r}. The labs of this project: {known}.")


def known_labs(project: Project) -> list[str]:
    """Return the labs of a project: their scripts, relative to it, with slashes."""
    return [f"labs/{path.name}" for path in sorted((project.root / "labs").glob("*.py"))]


def source_of(project: Project, lab: str) -> str:
    """Return the text of a lab and of the package it imports here, one file after the other."""
    package = project.settings.package
    imported = sorted((project.root / "src" / package).glob("*.py")) if package else []
    text = b"".join(path.read_bytes() for path in (project.root / lab, *imported))
    return text.decode(errors="replace").replace("\r\n", "\n")
