"""The lists on the machine: this laptop's, committed or not, in `.lab/lists/<hash>`.

They never go into the working tree there: a tracked file that changed would block the next push.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from ..errors import LabError
from ..far.login.environment.lists import FOLDER, NAMES
from ..far_half import writing
from ..git import git_command, git_variables
from ..machine import Machine
from ..processes import run
from ..scripts import run_script
from ..state import NAME as STATE
from ..state import make_state
from . import pyproject
from .local import texts_here
from .paths import check_merged
from .sources import source_of

__all__ = ["lists_folder", "send_lists", "store_lists"]

_HASH_LENGTH = 16


def send_lists(root: Path, machine: Machine) -> str:
    """Put the lists on the machine; return their folder there, or "" if the project has none.

    Raises LabError when they cannot be read, MissingFolderError, and UnreachableError.
    """
    folder, files = _to_hand_over(root)
    if files:
        run_script(machine, "hand-over-lists", folder, writing(files))
    return folder


def lists_folder(root: Path) -> str:
    """Return where the lists are on the machine once they were handed over, or "" without lists.

    Raises LabError when they cannot be read.
    """
    return _to_hand_over(root)[0]


def store_lists(root: Path) -> str:
    """Put the lists into the project's `.lab` on this computer; return their folder, or "".

    Raises LabError when they cannot be read or written.
    """
    folder, files = _to_hand_over(root)
    place = root / folder
    if not files or (place / "commit").is_file():
        return folder
    try:
        make_state(root / STATE)
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="new-", dir=place.parent) as new:
            for name, text in files.items():
                (Path(new) / name).write_text(text, encoding="utf-8")
            shutil.copytree(new, place, dirs_exist_ok=True)
    except OSError as error:
        raise LabError(f"{place} cannot be written: {error.strerror}.") from None
    return folder


def _to_hand_over(root: Path) -> tuple[str, dict[str, str]]:
    """Return the folder of the lists, and the files in it; nothing where there are no lists."""
    texts = texts_here(root)
    if not texts:
        return "", {}
    for name, text in texts.items():
        check_merged(name, text)
    files = {name: text.rstrip("\n") + "\n" for name, text in texts.items()}
    if "pyproject.toml" in texts:
        wanted = pyproject.requirements(texts["pyproject.toml"])
        lines = [*pyproject.options(texts["pyproject.toml"]), *wanted]
        files["requirements.txt"] = "".join(f"{line}\n" for line in lines) or "\n"
        if editable := pyproject.editable(texts["pyproject.toml"]):
            files["editable"] = f"{editable}\n"
    if source := source_of(root):
        files["source"] = f"{source}\n"
    files["commit"] = _commit(root)
    # A folder is complete once it is there, so its name is about all that is in it.
    everything = json.dumps(files, sort_keys=True).encode()
    return f"{FOLDER}/{hashlib.sha256(everything).hexdigest()[:_HASH_LENGTH]}", files


def _commit(root: Path) -> str:
    """Return the last commit that changed the lists, which says which of two lists are newer."""
    names = [source] if (source := source_of(root)) else NAMES
    command = git_command("-C", str(root), "log", "-1", "--format=%H", "--", *names)
    done = run(command, variables=git_variables())
    return f"{done.stdout.strip()}\n"
