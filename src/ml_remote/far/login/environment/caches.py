"""Where managers keep their downloads: in the usual place, if it has space."""

import errno
import os
import shutil
from pathlib import Path
from typing import Dict

from .environments import Environments
from .failures import Failure
from .output import say
from .settings import Settings

__all__ = ["check_cache", "choose_cache", "pip_variables"]

_GIB = 1024**3
_NEEDED = 6 * _GIB  # what a first environment downloads and unpacks
_BESIDE = ".lab/cache"


def check_cache(root: Path, settings: Settings) -> None:
    """Raise Failure if this person cannot write into the folder that the settings name.

    A setup that has nothing to download would not notice, but the person's own programs would. A
    disk that is full is no reason: the environment that is there can be used.
    """
    if not settings.cache:
        return
    folder = root / os.path.expanduser(settings.cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fault = "" if os.access(str(folder), os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    except OSError as error:
        fault = "" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror)
    if fault:
        raise Failure(
            "You cannot write to {}, the folder for downloads: {}.".format(folder, fault),
            "Name another folder in lab.toml, or remove the line: cache in [environment]",
        )


def choose_cache(environments: Environments, settings: Settings) -> Settings:
    """Return the settings with a cache on the project's disk, if the usual one has no room.

    A home directory often has a small quota where the project's disk has plenty, or none may write
    to it, as that of a service.
    """
    usual = _existing(Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")))
    own = _existing(environments.folder)
    if settings.cache or os.environ.get("UV_CACHE_DIR"):
        return settings
    if not os.access(str(usual), os.W_OK | os.X_OK):
        say("You cannot write to {}; downloads are kept in {}.".format(usual, _BESIDE))
        return settings._replace(cache=_BESIDE)
    if _device(usual) == _device(own):
        return settings
    free, free_beside = (shutil.disk_usage(str(path)).free for path in (usual, own))
    if free >= _NEEDED or free_beside < free:
        return settings
    say("{} has {} GB free; downloads are kept in {}.".format(usual, free // _GIB, _BESIDE))
    return settings._replace(cache=_BESIDE)


def pip_variables(root: Path, settings: Settings) -> Dict[str, str]:
    """Return what tells pip where to keep its files; nothing if no folder is named."""
    if not settings.cache:
        return {}
    folder = root / os.path.expanduser(settings.cache)
    temporary = folder / "tmp"  # a wheel is downloaded there first
    temporary.mkdir(parents=True, exist_ok=True)
    return {"PIP_CACHE_DIR": str(folder / "pip"), "TMPDIR": str(temporary)}


def _device(path: Path) -> int:
    return path.stat().st_dev


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
