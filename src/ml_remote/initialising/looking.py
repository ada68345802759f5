"""What a repository says of itself, so that nobody is asked for it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..lists.sources import SOURCES
from ..project import current_folder
from ..settings import DEFAULT_PYTHON, OLDEST_PYTHON
from ..ssh.address import alias_fault
from ..transfer.git_here import git

__all__ = ["Repository", "is_ignored", "is_tracked", "look"]

_PYTHON = re.compile(r"3\.(\d{1,2})")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository that is to become a project."""

    root: Path
    source: str
    """The list of packages that counts; "" if there is none."""
    package: str | None
    """The only package in src/, if there is one."""
    python: str

    @property
    def usual_alias(self) -> str | None:
        """A name for the machine, made from the folder's."""
        name = re.sub(r"[^a-z0-9._-]+", "-", self.root.name.lower()).strip("-._")
        return name if name and alias_fault(name) is None else None


def look() -> Repository:
    """Return the repository that one is in. Raises UsageError where there is none."""
    here = current_folder()
    if here is None:
        raise UsageError("The folder that you are in does not exist any more.")
    done = git(here, "rev-parse", "--show-toplevel", check=False)
    top = done.stdout.rstrip("\n")
    if done.returncode != 0 or not top:
        raise UsageError(
            f"{here} is in no git repository with files, and `lab` sends code by git.",
            hint="git init, and a first commit; then: lab init",
        )
    root = Path(top)
    return Repository(
        root=root,
        source=next((name for name in SOURCES if (root / name).is_file()), ""),
        package=_package(root),
        python=_python(root),
    )


def is_ignored(root: Path, name: str) -> bool:
    """Return whether git ignores a file or folder of this name."""
    return git(root, "check-ignore", "--quiet", "--", name, check=False).returncode == 0


def is_tracked(root: Path, name: str) -> bool:
    """Return whether git tracks a file of this name, or something in a folder of it."""
    return bool(git(root, "ls-files", "--", f":(literal){name}").stdout)


def _package(root: Path) -> str | None:
    found = [path.parent.name for path in sorted((root / "src").glob("*/__init__.py"))]
    return found[0] if len(found) == 1 and found[0].isidentifier() else None


def _python(root: Path) -> str:
    """Return the version of Python that the repository names, else the usual one."""
    for text in (_text(root / ".python-version"), _requires_python(root)):
        found = _PYTHON.search(text)
        if found is None:
            continue
        number = int(found[1])
        if re.search(rf"<\s*3\.{number}\b", text):  # only an upper bound
            number -= 1
        is_lower = ">" in text or "^" in text
        usual = int(DEFAULT_PYTHON.partition(".")[2])
        upper = re.search(r"<\s*3\.(\d{1,2})", text)
        if is_lower:
            number = max(number, min(usual, int(upper[1]) - 1 if upper else usual))
        if number >= OLDEST_PYTHON:
            return f"3.{number}"
    return DEFAULT_PYTHON


def _requires_python(root: Path) -> str:
    try:
        tables = tomllib.loads(_text(root / "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        return ""
    poetry = tables.get("tool", {}).get("poetry", {}).get("dependencies", {})
    return str(tables.get("project", {}).get("requires-python", "") or poetry.get("python", ""))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
