"""What `lab init` reads from the repository instead of asking for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from ..errors import LabError, UsageError
from ..package_lists import poetry
from ..package_lists.sources import first_list
from ..parsing import parse_toml
from ..project import current_folder
from ..settings import DEFAULT_PYTHON, OLDEST_PYTHON
from ..ssh.address import alias_fault
from ..transfer.git_errors import git_failure
from ..transfer.local_repository import check_path, check_version, git

__all__ = ["Repository", "git_path", "is_ignored", "look"]

_PYTHON = re.compile(r"3\.(\d{1,2})")
_NO_FILES = re.compile(r"[Nn]ot a git repository \(or any|must be run in a work tree")
"""What git says where there is no repository, in one without files of its own, and inside .git."""
_NEWEST = 30  # of Python 3, to look for one that is allowed


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The repository that will become a project."""

    root: Path
    source: str
    """The list of packages that counts; "" if there is none."""
    packages: tuple[str, ...]
    """The packages in src/."""
    python: str

    @property
    def usual_alias(self) -> str | None:
        """A name for the machine, made from the folder's."""
        name = re.sub(r"[^a-z0-9._-]+", "-", self.root.name.lower()).strip("-._")
        return name if name and alias_fault(name) is None else None


def look() -> Repository:
    """Return the repository that one is in.

    Raises UsageError where there is none, LabError where git cannot work in it.
    """
    here = current_folder()
    if here is None:
        raise UsageError("The current folder no longer exists.")
    check_path(here)
    check_version()
    done = git(here, "rev-parse", "--show-toplevel", check=False)
    top = done.stdout.rstrip("\n")
    if done.returncode != 0 and not _NO_FILES.search(done.stderr):
        raise git_failure(done.stderr, what="git rev-parse here", alias="")
    if done.returncode != 0 or not top:
        raise UsageError(
            f"{here} is not in a git repository with files, and `lab` sends code with git.",
            hint="git init, and a first commit; then: lab init",
        )
    root = Path(top)
    return Repository(
        root=root,
        source=first_list(root),
        packages=_packages(root),
        python=_python(root),
    )


def is_ignored(root: Path, name: str) -> bool:
    """Return whether git ignores a file or folder of this name."""
    return git(root, "check-ignore", "--quiet", "--", name, check=False).returncode == 0


def git_path(root: Path, name: str) -> Path:
    """Return where a file of git's own is, in a linked worktree too."""
    return root / git(root, "rev-parse", "--git-path", name).stdout.rstrip("\n")


def _packages(root: Path) -> tuple[str, ...]:
    found = (path.parent.name for path in sorted((root / "src").glob("*/__init__.py")))
    return tuple(name for name in found if name.isidentifier())


def _python(root: Path) -> str:
    """Return the version of Python that the repository names, else the usual one that it allows.

    Raises UsageError when it allows none that is new enough.
    """
    named = _PYTHON.match(_text(root / ".python-version").strip())
    if named is not None and int(named[1]) >= OLDEST_PYTHON:
        return f"3.{named[1]}"
    wanted = _requires_python(root)
    usual = int(DEFAULT_PYTHON.partition(".")[2])
    newest_first = [usual, *range(usual - 1, OLDEST_PYTHON - 1, -1), *range(usual + 1, _NEWEST)]
    for minor in newest_first:
        if f"3.{minor}" in wanted:
            return f"3.{minor}"
    raise UsageError(
        f"The repository allows Python {wanted}, but lab needs 3.{OLDEST_PYTHON} or newer in its "
        "environment.",
        hint="Widen requires-python in pyproject.toml, then: lab init",
    )


def _requires_python(root: Path) -> SpecifierSet:
    try:
        tables: Any = parse_toml(_text(root / "pyproject.toml"))
        project, tool = tables.get("project", {}), tables.get("tool", {})
        text = project.get("requires-python", "")
        if not text:
            named = str(tool.get("poetry", {}).get("dependencies", {}).get("python", ""))
            text = poetry.bounds(named) if named else ""
        return SpecifierSet(str(text))
    except (ValueError, AttributeError, LabError):
        return SpecifierSet()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
