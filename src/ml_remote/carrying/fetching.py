"""Bringing wheels to this computer, by pip: it checks their hashes, and keeps what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..errors import LabError
from ..lists.uv import reason, uv_program
from ..processes import running
from ..ui.display import steps
from .target import Target
from .wheels import Wheel

__all__ = ["fetch_wheels", "missing_here"]


def missing_here(wheels: Sequence[Wheel], folder: Path) -> list[Wheel]:
    """Return those that are not in the folder, or not as the index has them."""
    return [wheel for wheel in wheels if not _is_there(folder / wheel.name, wheel)]


def _is_there(path: Path, wheel: Wheel) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == wheel.sha256


def fetch_wheels(wheels: Sequence[Wheel], folder: Path, target: Target) -> None:
    """Bring these wheels into the folder, and remove all others from it.

    Raises LabError when one cannot be fetched; those that have come stay for the next call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = {wheel.name for wheel in wheels}
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    missing = missing_here(wheels, folder)
    for wheel in missing:
        (folder / wheel.name).unlink(missing_ok=True)
    if not missing:
        return
    options = [word for tag in target.platforms for word in ("--platform", tag)]
    command = ["run", "--quiet", "--no-project", "--with", "pip", "python", "-m", "pip"]
    command += ["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    command += ["--no-input", "--progress-bar", "off", "--python-version", target.python, *options]
    command += ["--implementation", "cp", "--dest", str(folder)]
    urls = [f"{wheel.url}#sha256={wheel.sha256}" for wheel in missing]
    with steps() as shown, running([uv_program(), *command, *urls], merge_errors=True) as process:
        process.send("", close=True)
        last: list[str] = []
        for line in process.lines():
            shown.line(line)
            last = [*last[-4:], line]
        code = process.wait()
    if code != 0 or missing_here(wheels, folder):
        said = reason("\n".join(last))
        raise LabError(
            f"Not all wheels could be fetched. pip says: {said}",
            quoted=(said,),
            hint="Run the command again: what has come is kept",
        )
