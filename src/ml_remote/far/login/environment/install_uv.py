"""Install uv into `.lab/uv`: by pip, or by Python's own urllib where there is no pip.

Nothing else of the person's is changed: pip keeps no cache, and a uv that was brought keeps its own
in `.lab/cache`.
"""

import os
import shutil
import sys
import zipfile
from pathlib import Path

from .carried import carried_wheels
from .commands import run
from .failures import Failure, ManagerError

__all__ = ["BROUGHT", "install_uv"]

BROUGHT = Path(".lab", "uv")
"""Where it is, from the project's folder."""


def install_uv(root: Path) -> Path:
    """Put uv into `.lab/uv`, and return its path. Raises Failure when it is not available."""
    folder = root / BROUGHT
    new = folder.with_name("uv-new-{}".format(os.getpid()))
    shutil.rmtree(str(new), ignore_errors=True)
    try:
        new.mkdir(parents=True)
        folder_of_wheels = carried_wheels()
        brought = sorted(folder_of_wheels.glob("uv-*.whl")) if folder_of_wheels else []
        if brought:
            _unpack(brought[-1], new / "bin" / "uv")
        elif _has_pip():
            _by_pip(new)
        else:
            _by_urllib(new)
        (new / "bin" / "uv").chmod(0o755)
        shutil.rmtree(str(folder), ignore_errors=True)
        new.rename(folder)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise Failure("uv cannot be downloaded: {}.".format(error))
    finally:
        shutil.rmtree(str(new), ignore_errors=True)
    return folder / "bin" / "uv"


def _has_pip() -> bool:
    try:
        run([sys.executable, "-m", "pip", "--version"], on_line=lambda _: True)
    except ManagerError:
        return False
    return True


def _by_pip(folder: Path) -> None:
    options = ["--quiet", "--no-cache-dir", "--disable-pip-version-check", "--no-deps"]
    command = [sys.executable, "-m", "pip", "install", *options, "--only-binary", ":all:"]
    try:
        run([*command, "--target", str(folder), "uv"], on_line=lambda _: True)
    except ManagerError as error:
        lines = [line for line in error.text.splitlines() if line.startswith("ERROR")]
        raise Failure("pip cannot download uv: {}".format((lines or [str(error)])[-1]))


def _by_urllib(folder: Path) -> None:
    from .uv_of_index import fetch_wheel  # imports much that few setups need

    archive = folder / "uv.whl"
    archive.write_bytes(fetch_wheel())
    _unpack(archive, folder / "bin" / "uv")
    archive.unlink()


def _unpack(archive: Path, program: Path) -> None:
    """Write the program that is in a wheel of uv."""
    program.parent.mkdir()
    with zipfile.ZipFile(str(archive)) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".data/scripts/uv"))
        program.write_bytes(wheel.read(name))
