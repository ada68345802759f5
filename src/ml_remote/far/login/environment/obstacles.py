"""What would make a setup fail later: recognised before anything is touched, each in words."""

import os
import platform
import re
import shutil
import sys
from pathlib import Path
from shlex import quote

from .failures import Failure
from .lists import Lists
from .managers import Manager
from .places import Places
from .processes import users_of
from .state import State

if sys.platform != "win32":
    import pwd
    import resource

__all__ = ["check_obstacles", "check_room", "check_torch_exists"]

_GIB = 1024**3
_NEEDED_GIB = 8  # 5.8 measured for a CUDA build of torch on Linux, and some room
_NEEDED_WITHOUT_TORCH_GIB = 2
_NEEDED_FOR_LINKS_GIB = 1
_BY_INDEX = ("uv", "venv")  # they take torch from the Python package index
_CPU_SECONDS = 60  # a first setup took 40 to 100
_ELSEWHERE = 'On another disk: folder = "/path" under [environment] in lab.local.toml.'


def check_obstacles(places: Places, state: State) -> None:
    """Raise Failure if something is in the way of making an environment."""
    _check_link(places)
    for folder in (places.state, places.folder):
        _check_leads_somewhere(folder)
    for folder in (places.root, places.state, places.folder, places.link):
        _check_owner(folder)
    place = existing(places.link if places.must_change_in_place else places.folder)
    _check_programs_run(place)
    _check_processor_time()
    if places.is_earlier and state.prefix is not None:
        _check_unused(places, state.prefix)


def check_torch_exists(manager: Manager, lists: Lists) -> None:
    """Raise Failure on an Intel Mac: the package index has no torch for it that is new enough."""
    if not _want_torch(lists):
        return
    if sys.platform != "darwin" or platform.machine() != "x86_64" or manager.name not in _BY_INDEX:
        return
    raise Failure(
        "torch ended its builds for Intel Macs with version 2.2, and the labs need 2.7.",
        "Work on the remote machine: lab up. This Mac then needs no torch.",
        "Or open the folder in the dev container (.devcontainer), which is Linux.",
        "If this Mac has an Apple chip, its Python is one for Intel; install one for arm64.",
    )


def _want_torch(lists: Lists) -> bool:
    """Return whether one of the lists asks for torch."""
    for path in (lists.pyproject, lists.environment_yml):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            if re.search(r"\b(py)?torch(vision|audio)?\b", text):
                return True
    return False


def _check_link(places: Places) -> None:
    if places.leads_elsewhere:
        target = os.path.realpath(str(places.link))
        raise Failure(
            ".venv is a link to {}, which was not made here; it is left alone.".format(target),
            "To have the environment on that disk: folder = {!r} under [environment] in"
            " lab.local.toml. Then: rm .venv".format(os.path.dirname(target)),
        )


def _check_leads_somewhere(folder: Path) -> None:
    """Find a link to a disk that is not mounted, or a file in the place of the folder."""
    if folder.is_symlink() and not folder.exists():
        raise Failure(
            "{} is a link to {}, which is not there.".format(folder, os.readlink(str(folder))),
            "See that its disk is mounted, or remove the link: rm {}".format(quote(str(folder))),
            _ELSEWHERE,
        )
    place = existing(folder)
    if not place.is_dir():
        raise Failure("{} is a file, and a folder must be there.".format(place), _ELSEWHERE)


def _check_owner(folder: Path) -> None:
    """Find a folder of somebody else, such as a new volume of a container: it is root's."""
    place = existing(folder)
    if sys.platform == "win32" or os.access(str(place), os.W_OK | os.X_OK):
        return
    if os.statvfs(str(place)).f_flag & os.ST_RDONLY:
        raise Failure("The disk of {} is mounted read-only.".format(place), _ELSEWHERE)
    try:
        owner = pwd.getpwuid(place.stat().st_uid).pw_name
    except KeyError:
        owner = "another user"
    raise Failure(
        "{} belongs to {}, and you cannot write into it.".format(place, owner),
        'Make it yours: sudo chown -R "$(id -un)" {}'.format(quote(str(place))),
        _ELSEWHERE,
    )


def _check_programs_run(place: Path) -> None:
    noexec = getattr(os, "ST_NOEXEC", 0)
    if noexec and os.statvfs(str(place)).f_flag & noexec:
        raise Failure(
            "The disk of {} is mounted with noexec: no program on it can be started.".format(place),
            _ELSEWHERE,
        )


def _check_processor_time() -> None:
    """Find a limit of CPU time that is too low; one that may be raised is raised."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if soft not in (resource.RLIM_INFINITY, hard):
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < _CPU_SECONDS:
        raise Failure(
            "This machine ends programs after {} s of CPU time (ulimit -t), and making the"
            " environment takes longer.".format(hard),
            "Ask whoever looks after the machine where that may be done; on a cluster often in a"
            " job: srun --pty sh scripts/setup-environment.sh",
        )


def _check_unused(places: Places, prefix: Path) -> None:
    users = users_of(prefix, places.root)
    if users:
        raise Failure(
            "Programs run in .venv, which an earlier version made: {}.".format(", ".join(users)),
            "It can be replaced when they have ended. End them, then run this again.",
        )


def check_room(places: Places, state: State, manager: Manager, lists: Lists) -> None:
    """Raise Failure if there is not enough disk for a new environment, beside an old one or not."""
    if state.works and places.changes_in_place and not places.must_change_in_place:
        return  # what it may cost was told before
    place = existing(places.link if places.must_change_in_place else places.folder)
    free = shutil.disk_usage(str(place)).free
    needed = _needed(places, state, manager, lists)
    if free >= needed:
        return
    figures = "{:.0f} GB of disk, and {:.0f} GB are free in {}".format(
        needed / _GIB, free // _GIB, place
    )
    if state.works and not places.must_change_in_place:
        raise Failure(
            "A new environment beside the one that works needs {}.".format(figures),
            "Make room. " + _ELSEWHERE,
            "To change the one that works, which is lost if that fails: LAB_CHANGE_IN_PLACE=1"
            " before `lab setup`, or before sh scripts/setup-environment.sh on the machine.",
        )
    raise Failure(
        "The environment needs {}.".format(figures),
        "Make room. " + _ELSEWHERE,
        "If you know that less is enough: LAB_MINIMUM_FREE_GB=3 sh scripts/setup-environment.sh",
    )


def _needed(places: Places, state: State, manager: Manager, lists: Lists) -> int:
    """Return how many bytes are needed: much for the first, what the old one has for a copy."""
    given = os.environ.get("LAB_MINIMUM_FREE_GB", "")
    if given.isdigit():
        return int(given) * _GIB
    if not state.works or state.prefix is None:
        return (_NEEDED_GIB if _want_torch(lists) else _NEEDED_WITHOUT_TORCH_GIB) * _GIB
    if places.must_change_in_place or manager.links:
        return _NEEDED_FOR_LINKS_GIB * _GIB
    return _size(state.prefix) + _GIB


def _size(folder: Path) -> int:
    sizes = (
        os.lstat(os.path.join(parent, name)).st_size
        for parent, _, names in os.walk(str(folder))
        for name in names
    )
    return sum(sizes)


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
