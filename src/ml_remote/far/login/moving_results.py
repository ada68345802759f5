"""Finding what a run wrote beside its code, and moving it into its results."""

import os
import shutil
import stat
from pathlib import Path
from typing import Iterator, List, Mapping, Sequence

__all__ = ["is_free", "live_processes", "move_new"]

_PROJECTS = ("data", "outputs")
"""Folders that are the project's: what a program has written where it had none yet goes there."""


def live_processes(job: Path, code: Path) -> List[str]:
    """Return the processes that a job, or a set of a sweep, has left on this machine.

    A set has no job of its own, and is known by the checkout that it uses.
    """
    marks = ["LAB_JOB_FOLDER={}/".format(job), "LAB_CODE={}".format(code)]
    wanted = set(map(os.fsencode, marks))
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # somebody else's, or over
            continue
        if not wanted.isdisjoint(variables) and process.name != str(os.getpid()):
            found.append(process.name)
    return found


def move_new(
    place: Path, known: Mapping[str, Sequence[int]], *, project: Path, results: Path
) -> None:
    """Move each file that is not as it is known below its own name into the results.

    Where there is something of this name already, the file goes below `code` there. Bytecode is
    left, and so is what has no content: sockets, pipes, empty folders. Raises OSError.
    """
    for name in _new(place, known):
        first = name.split(os.sep)[0]
        bases = [project] if first in _PROJECTS else []
        bases += [results, results / "code"]
        bases += [results / "code.{}".format(number) for number in range(2, 1000)]
        target = next(base / name for base in bases if is_free(base, name))
        target.parent.mkdir(parents=True, exist_ok=True)
        _move(place / name, target)


def _new(place: Path, known: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Yield the names of files and links that are new, or are not as they were."""
    for above, folders, names in os.walk(str(place)):
        for folder in folders:
            _open_up(os.path.join(above, folder))
        if os.path.basename(above) == "__pycache__":
            names = [name for name in names if not name.endswith(".pyc")]
        inside = os.path.relpath(above, str(place))
        links = [name for name in folders if os.path.islink(os.path.join(above, name))]
        for name in sorted(names + links):
            path = os.path.join(above, name)
            status = os.lstat(path)
            relative = name if inside == os.curdir else os.path.join(inside, name)
            has_content = stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
            is_known = list(known.get(relative, ())) == [status.st_size, status.st_mtime_ns]
            if has_content and not is_known:
                yield relative


def _open_up(folder: str) -> None:
    """Make a folder readable and writable for its owner, so that it can be emptied."""
    mode = stat.S_IMODE(os.lstat(folder).st_mode)
    if not os.path.islink(folder) and mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(folder, mode | stat.S_IRWXU)


def is_free(base: Path, name: str) -> bool:
    """Return whether nothing has this name below a folder, and only folders are above it."""
    path = base
    for part in name.split(os.sep)[:-1]:
        path = path / part
        if os.path.lexists(str(path)) and (path.is_symlink() or not path.is_dir()):
            return False
    return not os.path.lexists(str(base / name))


def _move(source: Path, target: Path) -> None:
    """Move a file or link, also to another disk; what has its name there is complete."""
    try:
        os.rename(str(source), str(target))
    except OSError:
        part = target.with_name(".lab-copy-{}".format(os.getpid()))
        try:
            shutil.copy2(str(source), str(part), follow_symlinks=False)
            os.rename(str(part), str(target))
        except OSError:
            if os.path.lexists(str(part)):
                os.unlink(str(part))
            raise
        os.unlink(str(source))
