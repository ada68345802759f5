"""Packages for people on a cluster without internet: uv, and a cache that it installs from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from baking import TEMPLATE_ROOT
from cluster_files import Person
from filelock import FileLock

from ml_remote.package_lists.converting import INTERACTIVE

__all__ = ["BOARD", "PACKAGE", "bring_packages", "filled_cache", "python_there"]

PACKAGE = "six"
BOARD = "tensorboard>=2.18"
"""What a list can ask for, besides what `lab jupyter` needs: PACKAGE and BOARD."""
_BUILD = TEMPLATE_ROOT / "build" / "cluster-packages"
_PYTHON = "/usr/bin/python3"


def python_there() -> str:
    """Return the version of Python that the machines have, as lab.toml names it."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([_PYTHON, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def bring_packages(person: Person) -> None:
    """Put uv into a person's home directory, with what it installs for `lab jupyter`."""
    uv = Path(sys.executable).parent / "uv"
    there = person.home / ".local" / "bin" / "uv"
    person.write(".config/uv/uv.toml", "offline = true\n")
    person.write(".local/bin/uv", "")
    there.unlink()
    shutil.copy(uv, there)
    person.write(".cache/README", "")
    cache = person.home / ".cache" / "uv"
    # Hard links where the disk is the same: the files belong to the person from the first time on.
    subprocess.run(["cp", "-a", "--link", filled_cache(), cache], capture_output=True)
    if not cache.exists():
        subprocess.run(["cp", "-a", filled_cache(), cache], check=True)
    subprocess.run(["chown", "-R", f"{person.number}:{person.number}", cache], check=True)


def filled_cache() -> Path:
    """Return the cache, filled once for all tests; the first time where there is internet."""
    uv = Path(sys.executable).parent / "uv"
    cache, complete = _BUILD / "cache", _BUILD / "complete"
    wanted = "\n".join([*INTERACTIVE, PACKAGE, BOARD, python_there()])
    _BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(_BUILD.with_suffix(".lock")):
        if not complete.exists() or complete.read_text() != wanted:
            shutil.rmtree(_BUILD)
            environment = _BUILD / "environment"
            variables = {**os.environ, "UV_CACHE_DIR": str(cache)}
            install = ("pip", "install", "--quiet", "--python", str(environment))
            for words in (
                ["venv", "--quiet", "--python", _PYTHON, str(environment)],
                [*install, *INTERACTIVE, PACKAGE, BOARD],
            ):
                subprocess.run([uv, *words], check=True, env=variables)
            shutil.rmtree(environment)
            complete.write_text(wanted)
    return cache
