"""A Python for a machine that has none that is new enough: fetched here by uv, and packed."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ..errors import LabError
from ..package_lists.uv import reason, uv_program
from ..processes import run
from .target import BY_HAND, Target
from .wheels import Wheel

__all__ = ["fetch_python"]

_SECONDS = 900


def fetch_python(target: Target, folder: Path) -> Wheel:
    """Download an archive of the Python that the machine lacks into the folder; return its name.

    Raises LabError, with uv's own reason, when it cannot be fetched.
    """
    with tempfile.TemporaryDirectory(prefix="python-", dir=folder.parent) as temporary:
        command = ["python", "install", "--no-bin", "--install-dir", temporary]
        wanted = f"cpython-{target.python}-{target.for_python}"
        try:
            # uv may have been told not to fetch a Python by itself; here it is asked to.
            done = run(
                [uv_program(), *command, wanted],
                variables={"UV_PYTHON_DOWNLOADS": "manual"},
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise LabError(
                f"Python {target.python} was not downloaded within {_SECONDS // 60} minutes.",
                hint="Run the command again",
            ) from None
        if done.returncode != 0:
            said = reason("\n".join(done.stderr.splitlines()[-3:]))
            raise LabError(
                f"No Python for the machine could be downloaded. uv says: {said}",
                quoted=(said,),
                hint=BY_HAND,
            )
        found = [path for path in Path(temporary).glob("cpython-*") if not path.is_symlink()]
        archive = folder / f"{found[0].name}.tar.gz"
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(found[0], found[0].name)
    with archive.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Wheel(url=archive.as_uri(), sha256=sha256, size=archive.stat().st_size)
