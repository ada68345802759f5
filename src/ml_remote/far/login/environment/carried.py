"""Wheels that the laptop has carried to a machine without internet: only they are installed.

Where the machine's Python is too old, one has come with them, packed.
"""

import os
import shutil
from pathlib import Path
from typing import Optional

__all__ = ["CARRIED", "carried_wheels", "unpack_python", "use_carried"]

CARRIED = Path(".lab", "python")
"""Where such a Python is kept, from the project's folder: environments lead to it."""


def carried_wheels() -> Optional[Path]:
    """Return their folder; None if packages come from an index."""
    folder = os.environ.get("LAB_WHEELS")
    return Path(os.path.realpath(folder)) if folder else None


def use_carried() -> None:
    """Make uv and pip use that folder only; `--no-index` repeats that for uv."""
    folder = carried_wheels()
    if folder is not None:
        os.environ.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(folder))
        os.environ.update(UV_OFFLINE="1", UV_PYTHON_DOWNLOADS="never")


def unpack_python() -> None:
    """Unpack the Python that was sent with the wheels, if it is missing. Raises OSError."""
    wheels = carried_wheels()
    for archive in sorted(wheels.glob("cpython-*.tar.gz")) if wheels else ():
        folder = CARRIED / archive.name[: -len(".tar.gz")]
        if folder.is_dir():
            continue
        new = CARRIED / "new-{}".format(os.getpid())
        shutil.rmtree(str(new), ignore_errors=True)
        try:
            shutil.unpack_archive(str(archive), str(new), "gztar")
            (new / folder.name).rename(folder)
        except (shutil.ReadError, ValueError, EOFError) as error:
            raise OSError("{} cannot be unpacked: {}".format(archive.name, error))
        finally:
            shutil.rmtree(str(new), ignore_errors=True)
