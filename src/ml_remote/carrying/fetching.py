"""Downloading wheels by pip, which checks their hashes and keeps those already downloaded."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import LabError
from ..package_lists.uv import reason, uv_program
from ..processes import running
from ..ui.display import Progress
from .target import Target
from .wheels import Wheel

__all__ = ["fetch_wheels", "missing_here"]

_LOOK_EVERY = 0.5  # seconds between two looks at what has come
_INCOMING = "wheels-"
_LEFT_OVER = 24 * 3600  # seconds
# What bounds versions on this computer counts for no other, and which are wanted is decided.
_UNBOUND = {"PIP_CONSTRAINT": os.devnull}
_TEMPORARY = ("TMPDIR", "TMP", "TEMP")  # where Python keeps what is not complete


def missing_here(wheels: Sequence[Wheel], folder: Path) -> list[Wheel]:
    """Return those that are not in the folder, or not as the index has them."""
    return [wheel for wheel in wheels if not _is_there(folder / wheel.name, wheel)]


def _is_there(path: Path, wheel: Wheel) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == wheel.sha256


def fetch_wheels(
    wheels: Sequence[Wheel], folder: Path, target: Target, progress: Progress | None = None
) -> None:
    """Download these wheels into the folder, and remove all others from it.

    `progress` is told how many bytes have come. Raises LabError when one cannot be fetched; those
    that have come stay for the next call, in pip's cache.
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
    _check_room(missing, folder)
    said = _download(missing, folder, target, progress)
    if missing_here(wheels, folder):
        said = reason("\n".join(said.splitlines()[-5:]))
        raise LabError(
            f"Not all wheels could be downloaded. pip says: {said}",
            quoted=(said,),
            hint="Run the command again; finished downloads are kept",
        )


def _check_room(missing: Sequence[Wheel], folder: Path) -> None:
    """Raise LabError when the disk has no room: pip keeps two copies until all have come."""
    needed = 2 * sum(wheel.size for wheel in missing)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LabError(
            f"Downloading the wheels needs {needed / 1e9:.1f} GB, but the disk of {folder} has "
            f"only {free / 1e9:.1f} GB free. Nothing was downloaded.",
            hint="Free disk space on this computer, then: lab setup --carry",
        )


def _download(
    missing: Sequence[Wheel], folder: Path, target: Target, progress: Progress | None
) -> str:
    """Fetch them with pip; return what it printed."""
    _remove_leftovers(folder.parent)
    options = [word for tag in target.platforms for word in ("--platform", tag)]
    command = ["run", "--quiet", "--no-project", "--with", "pip", "python", "-m", "pip"]
    command += ["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    command += ["--no-input", "--progress-bar", "off", "--python-version", target.python, *options]
    command += ["--implementation", "cp", "--dest", str(folder)]
    urls = [f"{wheel.url}#sha256={wheel.sha256}" for wheel in missing]
    total = sum(wheel.size for wheel in missing)
    # Beside the folder: /tmp may be small, and what is in it is how much has come.
    with (
        tempfile.TemporaryDirectory(prefix=_INCOMING, dir=folder.parent) as incoming,
        running(
            [uv_program(), *command, *urls],
            input="",
            variables={**dict.fromkeys(_TEMPORARY, incoming), **_UNBOUND},
            output_as_errors=True,
        ) as process,
    ):
        while not process.ends_within(_LOOK_EVERY):
            if progress is not None:
                progress(min(_size(Path(incoming)), total), total)
        return process.errors()


def _remove_leftovers(state: Path) -> None:
    """Remove what a call that was killed has left: no other call takes so long."""
    for path in state.glob(f"{_INCOMING}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT_OVER:
                shutil.rmtree(path)


def _size(folder: Path) -> int:
    """Return how many bytes the wheels below a folder have that are on their way."""
    size = 0
    for place, _, names in os.walk(folder):  # a folder that pip removes just now is left out
        for name in names:
            with suppress(OSError):  # pip moves it just now
                size += (Path(place) / name).stat().st_size if name.endswith(".whl") else 0
    return size
