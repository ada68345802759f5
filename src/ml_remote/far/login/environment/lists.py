"""The lists of packages that count: those that the laptop handed over, else the project's own."""

import hashlib
import os
import re
from pathlib import Path
from typing import Dict, NamedTuple, Optional

from ..files import replace_text

__all__ = ["FOLDER", "NAMES", "Lists", "digest_of", "find_lists", "is_half_merged"]

NAMES = ("environment.yml", "pyproject.toml", "requirements.lock")
"""The files that count."""
FOLDER = ".lab/lists"
"""Where the laptop leaves its lists, each in a folder named by their hash."""

_HASH_LENGTH = 16


class Lists(NamedTuple):
    """Where the lists are, and what is known of them."""

    folder: Path
    """It has pyproject.toml and environment.yml: the project, or `.lab/lists/<hash>`."""
    digest: str
    """A hash of all that counts; another one means that the environment must be changed."""
    lock: Optional[Path] = None
    """requirements.lock, for `-c`; None if there is none."""
    requirements: Optional[Path] = None
    """What pyproject.toml asks for, one requirement a line, if the laptop handed it over."""
    remark: str = ""
    """What to tell the person about which lists count."""
    source: str = ""
    """The repository's own list that the laptop has read; "" where these are lists of lab's."""

    @property
    def environment_yml(self) -> Path:
        """The list of conda."""
        return self.folder / "environment.yml"

    @property
    def pyproject(self) -> Path:
        """The list of uv and pip."""
        return self.folder / "pyproject.toml"

    def removal(self, name: str, *, listed: str = "pyproject.toml") -> str:
        """Return how to take a package out of the list; lab never changes one of others."""
        if self.source:
            return "Remove {} from {}".format(name, self.source)
        return "Remove it from {}: lab remove {}".format(listed, name)

    @property
    def renewal(self) -> str:
        """How to get other versions that fit together."""
        if self.source:
            return (
                "Change a bound in {}. Packages that are not in it are installed because labs "
                "and JupyterLab need them.".format(self.source)
            )
        return "Change a bound in pyproject.toml, or update the lock: lab lock --upgrade"


def digest_of(texts: Dict[str, str]) -> str:
    """Return the hash of the lists, given by name; other names do not count."""
    digest = hashlib.sha256()
    for name in NAMES:
        text = texts.get(name, "").replace("\r\n", "\n").rstrip("\n").encode()
        digest.update(name.encode() + b"\0" + str(len(text)).encode() + b"\0" + text)
    return digest.hexdigest()[:_HASH_LENGTH]


def is_half_merged(text: str) -> bool:
    """Return whether a list has the marks that git leaves where it cannot merge two versions."""
    return re.search(r"(?m)^(?:<{7}|>{7}) ", text) is not None


def find_lists(root: Path) -> Lists:
    """Return the lists that count for this project.

    LAB_LISTS names those that `lab setup` has just handed over. Without it, the last ones that were
    handed over count until the project has newer ones in a commit.
    """
    own = _lists(root)
    given = os.environ.get("LAB_LISTS", "")
    if given and (root / given).is_dir():
        _remember(root, Path(given).name)
        return _lists(root / given)
    handed = _last_handed_over(root)
    if handed is None:
        return own
    if handed.digest == own.digest:
        return handed
    if _is_newer(root, handed):
        return own._replace(remark="The lists in this folder are newer than those of `lab setup`.")
    remark = (
        "The lists in this folder differ from those that `lab setup` used last, which are used "
        "again."
    )
    return handed._replace(remark=remark)


def _lists(folder: Path) -> Lists:
    texts = {}
    for name in NAMES:
        path = folder / name
        if path.is_file():
            texts[name] = path.read_text(encoding="utf-8", errors="replace")
    lock, requirements = folder / "requirements.lock", folder / "requirements.txt"
    source = folder / "source"
    is_handed_over = folder.parent.name == "lists" and requirements.is_file()
    return Lists(
        folder,
        digest_of(texts),
        lock if lock.is_file() else None,
        requirements if is_handed_over else None,
        source=source.read_text(encoding="utf-8").strip() if source.is_file() else "",
    )


def _remember(root: Path, name: str) -> None:
    """Keep which lists were handed over last, for calls without a laptop."""
    replace_text(root / FOLDER / "used", name + "\n")


def _last_handed_over(root: Path) -> Optional[Lists]:
    try:
        name = (root / FOLDER / "used").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = root / FOLDER / name
    return _lists(folder) if name.isalnum() and folder.is_dir() else None


def _is_newer(root: Path, handed: Lists) -> bool:
    """Return whether the project's lists were committed after those that were handed over."""
    from .commands import answer  # the laptop, which makes digests by this module, never asks

    try:
        before = (handed.folder / "commit").read_text(encoding="utf-8").strip()
    except OSError:
        return False
    if not before:
        return False
    git = ["git", "-C", str(root), "-c", "log.showSignature=false", "-c", "log.follow=false"]
    last = answer([*git, "log", "-1", "--format=%H", "--", *NAMES])
    if last is None or last.strip() in ("", before):
        return False
    return answer([*git, "merge-base", "--is-ancestor", before, last.strip()]) is not None
