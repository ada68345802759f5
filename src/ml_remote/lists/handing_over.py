"""The lists on the machine: this laptop's, committed or not, in `.lab/lists/<hash>`.

They never go into the working tree there: a tracked file that changed would block the next push.
"""

from __future__ import annotations

from pathlib import Path

from ..far.login.environment.lists import FOLDER, NAMES, digest_of
from ..installing import writing
from ..machine import Machine
from ..scripts import ask
from ..transfer.git_here import git
from . import pyproject
from .here import texts_here

__all__ = ["hand_over"]


def hand_over(root: Path, machine: Machine) -> str:
    """Put the lists on the machine; return their folder there, or "" if the project has none.

    Raises LabError when they cannot be read, MissingFolderError, and UnreachableError.
    """
    texts = texts_here(root)
    if not texts:
        return ""
    folder = f"{FOLDER}/{digest_of(texts)}"
    files = {name: text.rstrip("\n") + "\n" for name, text in texts.items()}
    if "pyproject.toml" in texts:
        wanted = pyproject.requirements(texts["pyproject.toml"])
        files["requirements.txt"] = "".join(f"{line}\n" for line in wanted) or "\n"
    ask(machine, "hand-over-lists", folder, writing({**files, "commit": _commit(root)}))
    return folder


def _commit(root: Path) -> str:
    """Return the last commit that changed the lists, which says which of two lists are newer."""
    done = git(root, "log", "-1", "--format=%H", "--", *NAMES, check=False)
    return f"{done.stdout.strip()}\n"
