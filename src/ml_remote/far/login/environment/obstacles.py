"""Obstacles to a setup, recognised before anything is changed, each with a sentence."""

import os
import platform
import re
import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import Optional

from ..files import read_text
from .environments import Environments
from .failures import Failure
from .lists import Lists, is_half_merged
from .managers import Manager
from .state import State
from .users import users_of

if sys.platform != "win32":
    import pwd
    import resource

__all__ = ["check_merged", "check_obstacles", "check_room", "check_torch_exists", "refused"]

_GIB = 1024**3
_NEEDED_GIB = 8  # 5.8 measured for a CUDA build of torch on Linux, and some room
_NEEDED_WITHOUT_TORCH_GIB = 2
_NEEDED_FOR_LINKS_GIB = 1
_BY_INDEX = ("uv", "venv")  # they take torch from the Python package index
_CPU_SECONDS = 60  # a first setup took 40 to 100
_ELSEWHERE = 'On another disk: folder = "/path" under [environment] in lab.local.toml.'


def check_obstacles(environments: Environments, state: State) -> None:
    """Raise Failure if something is in the way of making an environment."""
    _check_link(environments)
    for folder in (environments.state, environments.folder):
        _check_leads_somewhere(folder)
    for folder in (environments.root, environments.state, environments.folder, environments.link):
        _check_owner(folder)
    place = existing(
        environments.link if environments.must_change_in_place else environments.folder
    )
    _check_programs_run(place)
    _check_processor_time()
    if environments.is_earlier and state.prefix is not None:
        _check_unused(environments, state.prefix)


def check_torch_exists(manager: Manager, lists: Lists) -> None:
    """Raise Failure on an Intel Mac: the package index has no torch for it that is new enough."""
    if not _want_torch(lists):
        return
    if sys.platform != "darwin" or platform.machine() != "x86_64" or manager.name not in _BY_INDEX:
        return
    raise Failure(
        "torch 2.2 was the last version for Intel Macs, and the labs need 2.7.",
        "Work on the remote machine: lab up. This Mac then needs no torch.",
        "Or open the folder in the dev container (.devcontainer), which is Linux.",
        "If this Mac has an Apple chip, its Python is built for Intel; install one for arm64.",
    )


def _want_torch(lists: Lists) -> bool:
    """Return whether one of the lists asks for torch."""
    for path in (lists.pyproject, lists.environment_yml):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            if re.search(r"\b(py)?torch(vision|audio)?\b", text):
                return True
    return False


def check_merged(manager: Manager, lists: Lists) -> None:
    """Raise Failure if git has left a list half merged: nobody knows what it asks for."""
    of_conda = manager.name not in _BY_INDEX
    for path in (lists.environment_yml,) if of_conda else (lists.pyproject, lists.lock):
        if path is not None and is_half_merged(read_text(path)):
            raise Failure(
                "{} is half merged: it has the marks of a conflict (<<<<<<<).".format(path.name),
                "Keep one of the two sides, then run the command again.",
            )


def _check_link(environments: Environments) -> None:
    link = environments.link
    if link.is_file() and not link.is_symlink():
        raise Failure(
            "{} is a file, so the environment cannot be made there.".format(link),
            "Move it away, or remove it: rm {}".format(quote(str(link))),
        )
    if environments.leads_elsewhere:
        target = os.path.realpath(str(environments.link))
        raise Failure(
            ".venv is a link to {}, which lab did not make, so it was not changed.".format(target),
            "To use that disk for the environment: folder = {!r} under [environment] in "
            "lab.local.toml. Then: rm .venv".format(os.path.dirname(target)),
        )


def _check_leads_somewhere(folder: Path) -> None:
    """Find a link to a disk that is not mounted, or a file in the place of the folder."""
    if folder.is_symlink() and not folder.exists():
        raise Failure(
            "{} is a link to {}, which does not exist.".format(folder, os.readlink(str(folder))),
            "Check that its disk is mounted, or remove the link: rm {}".format(quote(str(folder))),
            _ELSEWHERE,
        )
    place = existing(folder)
    if not place.is_dir():
        raise Failure("{} is a file, but it must be a folder.".format(place), _ELSEWHERE)


def _check_owner(folder: Path) -> None:
    """Find a folder of somebody else, such as a new volume of a container: it is root's."""
    place = existing(folder)
    if sys.platform == "win32" or os.access(str(place), os.W_OK | os.X_OK):
        return
    if os.statvfs(str(place)).f_flag & os.ST_RDONLY:
        raise Failure("The disk of {} is mounted read-only.".format(place), _ELSEWHERE)
    number = place.stat().st_uid
    if number == os.getuid():
        raise Failure(
            "{} is yours, but its mode does not let you change it.".format(place),
            "Allow it: chmod u+rwX {}".format(quote(str(place))),
            _ELSEWHERE,
        )
    try:
        owner = pwd.getpwuid(number).pw_name
    except KeyError:
        owner = "another user"
    raise Failure(
        "{} belongs to {}, and you cannot write to it.".format(place, owner),
        'Make it yours: sudo chown -R "$(id -un)" {}'.format(quote(str(place))),
        _ELSEWHERE,
    )


def _check_programs_run(place: Path) -> None:
    noexec = getattr(os, "ST_NOEXEC", 0)
    if noexec and os.statvfs(str(place)).f_flag & noexec:
        raise Failure(
            "The disk of {} is mounted with noexec, so no program on it can be started.".format(
                place
            ),
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
            "On a cluster, make it in a job of Slurm; on your laptop: lab setup --slurm",
            "Otherwise, ask whoever runs the machine where you may do that.",
        )


def _check_unused(environments: Environments, prefix: Path) -> None:
    users = users_of(prefix, environments.root)
    if users:
        raise Failure(
            "Programs run in .venv, which an earlier version made: {}.".format(", ".join(users)),
            "End them, then run the command again.",
        )


def check_room(environments: Environments, state: State, manager: Manager, lists: Lists) -> None:
    """Raise Failure if there is not enough disk for a new environment, beside an old one or not."""
    if state.works and environments.changes_in_place and not environments.must_change_in_place:
        return  # what it may cost was told before
    place = existing(
        environments.link if environments.must_change_in_place else environments.folder
    )
    free = shutil.disk_usage(str(place)).free
    needed = _needed(environments, state, manager, lists)
    if free >= needed:
        return
    figures = "{:.0f} GB of disk, and {:.0f} GB are free in {}".format(
        needed / _GIB, free // _GIB, place
    )
    if state.works and not environments.must_change_in_place:
        raise Failure(
            "A new environment beside the working one needs {}.".format(figures),
            "Free disk space, or use another disk. " + _ELSEWHERE,
            "To change the working one in place (it is lost if that fails): "
            "LAB_CHANGE_IN_PLACE=1 before `lab setup`, or before sh scripts/setup-environment.sh "
            "on the machine.",
        )
    raise Failure(
        "The environment needs {}.".format(figures),
        "Free disk space, or use another disk. " + _ELSEWHERE,
        "If you know that less is enough: LAB_MINIMUM_FREE_GB=3 sh scripts/setup-environment.sh",
    )


def _needed(environments: Environments, state: State, manager: Manager, lists: Lists) -> int:
    """Return how many bytes are needed: much for the first, what the old one has for a copy."""
    given = os.environ.get("LAB_MINIMUM_FREE_GB", "")
    if given.isdigit():
        return int(given) * _GIB
    if not state.works or state.prefix is None:
        return (_NEEDED_GIB if _want_torch(lists) else _NEEDED_WITHOUT_TORCH_GIB) * _GIB
    if environments.must_change_in_place or manager.links:
        return _NEEDED_FOR_LINKS_GIB * _GIB
    return _size(state.prefix) + _GIB


def _size(folder: Path) -> int:
    sizes = (
        os.lstat(os.path.join(parent, name)).st_size
        for parent, _, names in os.walk(str(folder))
        for name in names
    )
    return sum(sizes)


def refused(error: OSError) -> Optional[Failure]:
    """Return what is in the way where the system refuses access to a file; None if not known."""
    try:
        _check_owner(Path(str(error.filename)))
    except Failure as failure:
        return failure
    except OSError:
        pass
    return None


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there, as far as one may look."""
    while not os.path.exists(str(path)) and path != path.parent:
        path = path.parent
    return path
