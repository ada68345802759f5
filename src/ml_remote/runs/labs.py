"""The labs of this project, and what to run one with."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import UsageError
from ..settings import load_settings, project_root

__all__ = ["Lab", "find_lab", "hosts_of", "known_labs", "output_folder"]


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab to run, and with which parameters."""

    path: str
    """Its script, relative to the project, with slashes."""
    parameters: Sequence[tuple[str, str]]
    options: Sequence[str] = ()
    """Where and how it runs, as on the command line; `--hosts` first."""

    @property
    def words(self) -> list[str]:
        """The lab and its parameters, as they stand behind `lab run`."""
        return [self.path, *(word for pair in self.parameters for word in ("-p", *pair))]

    @property
    def title(self) -> str:
        """All that stands behind `lab run`, in one line of text."""
        return "".join(
            letter if letter.isprintable() else letter.encode("unicode_escape").decode()
            for letter in shlex.join([*self.words, *self.options])
        )

    @property
    def source(self) -> str:
        """The text of the lab and of the package it imports, here, one file after the other."""
        root = project_root()
        package = load_settings().package
        imported = sorted((root / "src" / package).glob("*.py")) if package else []
        files = [root / self.path, *imported]
        text = b"".join(path.read_bytes() for path in files).decode(errors="replace")
        return text.replace("\r\n", "\n")


def find_lab(name: str, parameters: Sequence[tuple[str, str]]) -> Lab:
    """Return the lab that is named by its script, by its notebook, or without an ending.

    Raises UsageError, naming the labs that there are.
    """
    root = project_root()
    plain = name.removesuffix(".py").removesuffix(".ipynb")
    for place in (Path.cwd(), root, root / "labs"):
        script = place / f"{plain}.py"
        if script.is_file() and script.resolve().is_relative_to(root):
            path = script.resolve().relative_to(root).as_posix()
            return Lab(path=path, parameters=parameters)
    known = ", ".join(known_labs()) or "none"
    raise UsageError(f"There is no lab {name!r}. The labs of this project: {known}.")


def known_labs() -> list[str]:
    """Return the labs of this project: their scripts, relative to it, with slashes."""
    return [f"labs/{path.name}" for path in sorted((project_root() / "labs").glob("*.py"))]


def output_folder(title: str) -> str:
    """Return the folder below outputs/ that the results of a lab go to, from the lab's title."""
    return PurePosixPath(shlex.split(title)[0]).stem


def hosts_of(title: str) -> list[str]:
    """Return the aliases of the hosts that a run was started on by name, from its title."""
    words = shlex.split(title)[1:]
    while words[:1] == ["-p"]:
        words = words[3:]
    return words[1].split(",") if words[:1] == ["--hosts"] else []
