"""The template as git has it, without what else is in this checkout, and as a repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from baking import TEMPLATE_ROOT

__all__ = ["TEMPLATE_FOLDER", "commit_all", "copy_template", "make_repository", "tracked_files"]

TEMPLATE_FOLDER = "{{cookiecutter.project_slug}}"


def tracked_files(folder: str = ".") -> list[str]:
    """Return the files below a folder of this checkout that git knows and that are here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached"],
        cwd=TEMPLATE_ROOT / folder,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    names = filter(None, listed.stdout.split("\0"))
    return [name for name in names if (TEMPLATE_ROOT / folder / name).exists()]


def copy_template(destination: Path) -> Path:
    """Copy the template, with changes that are not committed yet, and return where it is."""
    for name in tracked_files():
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TEMPLATE_ROOT / name, destination / name)
    return destination


def make_repository(destination: Path) -> Path:
    """Copy the template into a git repository of its own, with one commit."""
    copy_template(destination)
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", destination], check=True)
    commit_all(destination, "The template")
    return destination


def commit_all(repository: Path, message: str) -> None:
    """Commit everything in a repository; what a .gitignore names is committed as well."""
    for arguments in (["add", "--all", "--force"], ["commit", "--quiet", "--message", message]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
