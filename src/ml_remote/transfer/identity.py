"""The person's name in git on this computer, for commits made on the machine."""

from __future__ import annotations

from pathlib import Path

from .local_repository import git

__all__ = ["identity"]


def identity(root: Path) -> tuple[str, str]:
    """Return name and e-mail that git uses in this project; both are empty where one is missing."""
    name, email = (
        git(root, "config", "--get", key, check=False).stdout.strip()
        for key in ("user.name", "user.email")
    )
    return (name, email) if name and email else ("", "")
