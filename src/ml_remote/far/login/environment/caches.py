"""Where managers keep what they download: where they always do, if there is room."""

import os
import shutil
from pathlib import Path
from typing import Dict

from .places import Places
from .settings import Settings
from .speech import say

__all__ = ["choose_cache", "pip_variables"]

_GIB = 1024**3
_NEEDED = 6 * _GIB  # what a first environment downloads and unpacks
_BESIDE = ".lab/cache"


def choose_cache(places: Places, settings: Settings) -> Settings:
    """Return the settings with a cache on the project's disk, if the usual one has no room.

    A home directory often has a small quota where the project's disk has plenty.
    """
    usual = _existing(Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")))
    own = _existing(places.folder)
    if settings.cache or os.environ.get("UV_CACHE_DIR") or _device(usual) == _device(own):
        return settings
    free, free_beside = (shutil.disk_usage(str(path)).free for path in (usual, own))
    if free >= _NEEDED or free_beside < free:
        return settings
    say("{} has {} GB free; what is downloaded is kept in {}.".format(usual, free // _GIB, _BESIDE))
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
