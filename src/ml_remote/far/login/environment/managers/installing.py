"""The arguments with which uv and pip install the lists under the lock, and the project."""

import re
from pathlib import Path
from typing import Dict, List

from ...files import read_text
from ..carried import carried_wheels
from ..commands import answer
from ..failures import Failure
from .base import Work
from .constraints import files_of_uv

__all__ = [
    "is_installable",
    "refuse_other_target",
    "refuse_other_target_of_uv",
    "requirement_options",
]

_ELSEWHERE = re.compile(r"(?m)^(\w+)\.(target|prefix|root)=(.+)$")
_OF_UV = re.compile(
    r"(?m)^\[(?:tool\.uv\.)?pip\].*\n(?:(?!\[).*\n)*?\s*(target|prefix)\s*=\s*(\S.*)$"
)


def refuse_other_target(python: str, variables: Dict[str, str]) -> None:
    """Raise Failure if pip's configuration has packages go elsewhere: no option takes that back."""
    listed = answer([python, "-m", "pip", "config", "list"], variables=variables)
    found = _ELSEWHERE.search((listed or "").replace("\r\n", "\n"))
    if found:
        raise Failure(
            "pip's configuration says {} = {}, so no package would be installed into the "
            "environment.".format(found.group(2), found.group(3)),
            "Undo that: python3 -m pip config unset {}.{}".format(*found.groups()[:2]),
        )


def refuse_other_target_of_uv(root: Path) -> None:
    """Raise Failure if uv's configuration has packages go elsewhere: no option takes that back."""
    for file in files_of_uv(root):
        found = _OF_UV.search(read_text(file))
        if found:
            raise Failure(
                "{} says {} = {} under [pip], so no package would be installed into the "
                "environment.".format(file, *found.groups()),
                "Remove that line, then run the command again.",
            )


def requirement_options(work: Work) -> List[List[str]]:
    """Return the options of each `pip install` that is needed, in order."""
    wheels = carried_wheels()
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    constraints = ["--constraint", str(work.lists.lock)] if work.lists.lock else []
    if work.lists.requirements is None:
        return [[*source, *constraints, "--editable", ".[lab,dev]"]]
    options = [[*source, *constraints, "--requirement", str(work.lists.requirements)]]
    if is_installable(work.root):
        own = work.lists.folder / "editable"
        if own.is_file():  # the list of a repository of its own, which may leave its needs to it
            itself = own.read_text(encoding="utf-8").strip()
            options.append([*source, *constraints, "--editable", itself])
        else:
            options.append([*source, "--no-deps", "--editable", "."])
    return options


def is_installable(root: Path) -> bool:
    """Return whether the project itself is a package: it says how it is built, or has src/.

    Without that, setuptools would take whatever folders there are for packages, and fail.
    """
    if (root / "setup.py").is_file() or re.search(
        r"(?m)^\[metadata\]", read_text(root / "setup.cfg")
    ):
        return True
    text = read_text(root / "pyproject.toml")
    if re.search(r"(?m)^\s*package-mode\s*=\s*false", text):  # of poetry: a list, no package
        return False
    if re.search(r"(?m)^\s*\[\s*build-system\s*\]", text):
        return True
    return (root / "src").is_dir() and bool(re.search(r"(?m)^\s*\[\s*project\s*[\].]", text))
