"""What would make a setup fail later: recognised before anything is touched, each in words."""

import os
import shutil
from pathlib import Path

from .failures import Failure
from .places import Places
from .state import State

__all__ = ["check_obstacles"]

_GIB = 1024**3
_NEEDED_GIB = 8  # 5.8 measured for a CUDA build of torch on Linux, and some room


def check_obstacles(places: Places, state: State) -> None:
    """Raise Failure if something is in the way of making an environment."""
    _check_disk(places, state)


def _check_disk(places: Places, state: State) -> None:
    needed = int(os.environ.get("LAB_MINIMUM_FREE_GB") or _NEEDED_GIB)
    place = existing(places.link if places.must_change_in_place else places.folder)
    free = shutil.disk_usage(str(place)).free
    if free >= needed * _GIB or state.works:
        return
    raise Failure(
        "The environment needs {} GB of disk, and {} GB are free in {}.".format(
            needed, free // _GIB, place
        ),
        "Make room, or put the environment on another disk: folder under [environment] in"
        " lab.local.toml.",
        "If you know that less is enough: LAB_MINIMUM_FREE_GB=3 sh scripts/setup-environment.sh",
    )


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
