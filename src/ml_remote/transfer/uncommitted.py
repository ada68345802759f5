"""Measuring uncommitted files: large ones belong in `data/`, not in git."""

from __future__ import annotations

from pathlib import Path

from ..context import Context
from ..errors import LabError
from ..ui.console import Console
from ..ui.words import counted, size_in_words, some
from .local_repository import OWN, Repository, git

__all__ = ["check_uncommitted", "tell_if_not_ignored"]


def check_uncommitted(context: Context, repository: Repository, *, dirty: bool) -> None:
    """Raise LabError when too much is not committed; git has not made an object of it yet.

    With `dirty` that is all that would be sent, else what git does not know.
    """
    settings = context.project.settings
    if dirty:
        names = list(repository.changed)
    else:
        listed = git(repository.root, "ls-files", "--others", "--exclude-standard", "-z").stdout
        names = listed.split("\0")[:-1]
    sizes = {name: _size(repository.root / name) for name in names if name.split("/")[0] not in OWN}
    total = sum(sizes.values())
    is_many = len(sizes) > settings.most_files and not dirty
    if total <= settings.most_mb * 1e6 and not is_many:
        return
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)
    what = "is not committed" if dirty else "is neither committed nor ignored by git"
    found = (
        f"{size_in_words(total)} in {counted(len(sizes), 'file')} {what}: {some(largest, most=3)}"
    )
    if largest[0].startswith("data/"):
        raise LabError(
            f"{found}. git does not ignore data/. Nothing was pushed.",
            hint="Add the line /data to .gitignore, then: lab data push",
        )
    most = int(settings.most_mb * 1e6)
    limit = counted(settings.most_files, "file") if is_many else size_in_words(most)
    raise LabError(
        f"{found}. That is more than {limit}. Nothing was pushed.",
        hint="For data: move it into data/, then: lab data push. To never send it: name it in "
        ".gitignore. To push it anyway: most_mb or most_files in [push], in lab.toml",
    )


def tell_if_not_ignored(console: Console, root: Path) -> None:
    """Warn that git does not ignore `data/`: the next `git add .` would add it."""
    if git(root, "check-ignore", "--quiet", "--", "data", check=False).returncode == 1:
        console.warn(
            "git does not ignore data/, so `git add .` would commit it. Add this line to "
            ".gitignore: /data"
        )


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except (OSError, ValueError):
        return 0
