"""The lists on the machine: this laptop's, committed or not, in `.lab/lists/<hash>`.

They never go into the working tree there: a tracked file that changed would block the next push.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..far.login.environment.lists import FOLDER, NAMES
from ..installing import writing
from ..machine import Machine
from ..scripts import ask
from ..transfer.git_here import git
from . import pyproject
from .here import texts_here

__all__ = ["hand_over"]

_HASH_LENGTH = 16


def hand_over(root: Path, machine: Machine) -> str:
    """Put the lists on the machine; return their folder there, or "" if the project has none.

    Raises LabError when they cannot be read, MissingFolderError, and UnreachableError.
    """
    texts = texts_here(root)
    if not texts:
        return ""
    files = {name: text.rstrip("\n") + "\n" for name, text in texts.items()}
    if "pyproject.toml" in texts:
        wanted = pyproject.requirements(texts["pyproject.toml"])
        files["requirements.txt"] = "".join(f"{line}\n" for line in wanted) or "\n"
    files["commit"] = _commit(root)
    # A folder is complete once it is there, so its name is about all that is in it.
    everything = json.dumps(files, sort_keys=True).encode()
    folder = f"{FOLDER}/{hashlib.sha256(everything).hexdigest()[:_HASH_LENGTH]}"
    ask(machine, "hand-over-lists", folder, writing(files))
    return folder


def _commit(root: Path) -> str:
    """Return the last commit that changed the lists, which says which of two lists are newer."""
    done = git(root, "log", "-1", "--format=%H", "--", *NAMES, check=False)
    return f"{done.stdout.strip()}\n"
