"""The lists of packages that count: those that the laptop handed over, else the project's own."""

import hashlib
from pathlib import Path
from typing import NamedTuple, Optional

__all__ = ["Lists", "find_lists"]

_LISTS = ("environment.yml", "pyproject.toml", "requirements.lock")


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

    @property
    def environment_yml(self) -> Path:
        """The list of conda."""
        return self.folder / "environment.yml"

    @property
    def pyproject(self) -> Path:
        """The list of uv and pip."""
        return self.folder / "pyproject.toml"


def find_lists(root: Path) -> Lists:
    """Return the lists that count for this project."""
    lock = root / "requirements.lock"
    digest = hashlib.sha256()
    for name in _LISTS:
        path = root / name
        text = path.read_bytes() if path.is_file() else b""
        digest.update(name.encode() + b"\0" + str(len(text)).encode() + b"\0" + text)
    return Lists(root, digest.hexdigest()[:16], lock if lock.is_file() else None)
