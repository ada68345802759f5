"""The kernels that outlive the editor's window: where they are kept, and which ones live.

Each has a folder of its own on this machine, `<base>/lab-kernels-<uid>/<id>`, which only its owner
may enter. Any Python from 3.6 on can do this: the proxy in the environment, and `lab status`.

| in the folder | what it is |
|---|---|
| `about.json` | which kernel this is, an object; written by a rename, so it is complete |
| `windows/<pid>-<start>` | one file for each proxy that shows the kernel now |
| `hosts` | the extension hosts that it has served, one a line |
| `busy` | there while a cell runs |
| `used` | touched when a window leaves, or a cell ends |
| `kernel.json`, sockets, `log` | how it is reached, and what it printed outside of cells |

A folder whose process has ended is a leftover. `spare-<8 hex>` is a kernel that has no lab yet.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .environment.processes import descendants, started, this_boot
from .files import replace_text

__all__ = [
    "FORMAT",
    "Kernel",
    "NoKernelFolderError",
    "check_base",
    "end",
    "find",
    "folder",
    "folders",
    "id_of",
    "in_another_container",
    "is_alive",
    "is_busy",
    "is_running",
    "is_shown",
    "list_kernels",
    "lock",
    "locked",
    "paths",
    "read_kernel",
    "remove",
    "used_at",
    "write_about",
]

FORMAT = 1
"""Of about.json: a kernel with a higher one is another version's, and is left alone."""

_BASES = ("/tmp", "/var/tmp")
_ID = re.compile(r"[0-9a-f]{16}|spare-[0-9a-f]{8}")
_UNKNOWN_USER = 65534  # the owner of /tmp in a container that does not know him


class NoKernelFolderError(OSError):
    """No folder of this machine can hold kernels; the message says why each was refused."""


class Kernel(NamedTuple):
    """A kernel, as its about.json describes it."""

    folder: Path
    root: str
    """The project's folder, resolved."""
    lab: str
    """The pair, from the root and without its ending; empty for a spare one."""
    pid: int
    start: str
    """Field 22 of /proc/PID/stat: with the process id, it names one process of this boot."""
    boot: str
    """What `this_boot` said when it began."""
    started: float
    """Seconds since 1970."""
    python: str
    """The resolved path of its interpreter."""


def id_of(root: str, lab: str) -> str:
    """Return the name of the folder of a lab's kernel."""
    words = os.fsencode(root) + b"\0" + os.fsencode(lab)
    return hashlib.sha256(words).hexdigest()[:16]


def folder(*, make: bool = False) -> Path:
    """Return the folder that holds this user's kernels, checked; with `make` it is made.

    Raises NoKernelFolderError when there is none that only this user may enter.
    """
    refused = []
    for base in _BASES:
        try:
            return _checked(Path(base), make=make)
        except OSError as error:
            refused.append("{}: {}".format(base, error.strerror or error))
    raise NoKernelFolderError(
        "No folder of this machine can hold kernels. {}".format("; ".join(refused))
    )


def _checked(base: Path, *, make: bool) -> Path:
    """Return the folder below one base. Raises OSError if others could reach into it."""
    check_base(base)
    path = base / "lab-kernels-{}".format(os.getuid())
    if make:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise OSError("{} is not a folder".format(path.name))
    if status.st_uid != os.getuid():
        raise OSError("{} belongs to another user".format(path.name))
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise OSError("others may enter {}".format(path.name))
    return path


def check_base(base: Path) -> None:
    """Raise OSError if others could exchange a folder in `base`."""
    status = os.stat(str(base))
    if not stat.S_ISDIR(status.st_mode):
        raise OSError("it is not a directory")
    if status.st_uid not in (0, os.getuid(), _UNKNOWN_USER):
        raise OSError("it belongs to another user")
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        raise OSError("others can rename what is in it")


def list_kernels(root: Optional[str] = None) -> List[Kernel]:
    """Return the kernels that live, by lab; those of one project if `root` names it.

    Spare ones, which have no lab yet, are left out.
    """
    kernels = [kernel for kernel in _all() if kernel.lab and is_alive(kernel)]
    if root is not None:
        kernels = [kernel for kernel in kernels if kernel.root == root]
    return sorted(kernels, key=lambda kernel: (kernel.root, kernel.lab))


def find(root: str, lab: str) -> Optional[Kernel]:
    """Return the kernel that lives for a lab; None if there is none."""
    for place in folders():
        kernel = read_kernel(place / id_of(root, lab))
        if kernel is not None and is_alive(kernel):
            return kernel
    return None


def folders() -> Iterator[Path]:
    """Yield the folders that hold kernels: /tmp may have been full when the first one began."""
    for base in _BASES:
        with contextlib.suppress(OSError):
            yield _checked(Path(base), make=False)


def paths() -> Iterator[Path]:
    """Yield the folders that have the name of a kernel."""
    for place in folders():
        with contextlib.suppress(OSError):
            for path in sorted(place.iterdir()):
                if _ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                    yield path


def _all() -> Iterator[Kernel]:
    for path in paths():
        kernel = read_kernel(path)
        if kernel is not None:
            yield kernel


def read_kernel(path: Path) -> Optional[Kernel]:
    """Return the kernel whose folder this is; None if about.json is missing or damaged."""
    try:
        values = json.loads((path / "about.json").read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            return None
        return Kernel(
            folder=path,
            root=_text(values, "root"),
            lab=_text(values, "lab"),
            pid=int(values["pid"]),
            start=_text(values, "start"),
            boot=_text(values, "boot"),
            started=float(values["started"]),
            python=_text(values, "python"),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _text(values: Dict[str, Any], key: str) -> str:
    value = values[key]
    if not isinstance(value, str):
        raise ValueError(key)
    return value


def write_about(path: Path, *, root: str, lab: str, pid: int, python: str) -> Kernel:
    """Write the about.json of a kernel that runs as process `pid`, and return the kernel.

    A spare kernel gets a new one when it becomes a lab's: it keeps when it began.
    """
    before = read_kernel(path)
    kernel = Kernel(
        folder=path,
        root=root,
        lab=lab,
        pid=pid,
        start=started(pid),
        boot=this_boot(),
        started=before.started if before is not None and before.pid == pid else time.time(),
        python=python,
    )
    values = {name: value for name, value in kernel._asdict().items() if name != "folder"}
    replace_text(path / "about.json", json.dumps(dict(values, format=FORMAT)))
    return kernel


def is_alive(kernel: Kernel) -> bool:
    """Return whether the process of a kernel lives: this one, and not another with its number."""
    return bool(kernel.start) and _is_ours(kernel) and started(kernel.pid) == kernel.start


def _is_ours(kernel: Kernel) -> bool:
    """Return whether its process ids mean something in this boot and this container."""
    return kernel.boot == this_boot()


def is_busy(kernel: Kernel) -> bool:
    """Return whether a cell runs."""
    return (kernel.folder / "busy").exists()


def is_shown(kernel: Kernel) -> bool:
    """Return whether a window shows the kernel now."""
    try:
        names = os.listdir(str(kernel.folder / "windows"))
    except OSError:
        return False
    return any(map(is_running, names))


def is_running(name: str) -> bool:
    """Return whether the process lives that has this name, `<pid>-<start>`."""
    pid, _, start = name.partition("-")
    return pid.isdigit() and bool(start) and started(int(pid)) == start


def used_at(kernel: Kernel) -> float:
    """Return when it was used last, in seconds since 1970: a window left, or a cell ended."""
    try:
        return max(kernel.started, (kernel.folder / "used").stat().st_mtime)
    except OSError:
        return kernel.started


def end(kernel: Kernel, *, patience: float = 5.0) -> None:
    """End a kernel and what it has started, after `patience` seconds by force; remove its folder.

    One that has ended already is a leftover: its folder is removed.
    """
    if is_alive(kernel):
        processes = [(kernel.pid, kernel.start)] + descendants(kernel.pid)
        for number in (signal.SIGTERM, signal.SIGKILL):
            # What belongs to another user, such as sudo, ends when it likes.
            processes = [(pid, start) for pid, start in processes if _send(pid, start, number)]
            if _have_ended(processes, patience):
                break
            processes += [one for one in descendants(kernel.pid) if one not in processes]
    remove(kernel.folder, kernel)


def _send(pid: int, start: str, number: int) -> bool:
    """Send a signal to a process; return False if it has ended, or is not ours."""
    if started(pid) != start:
        return False
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _have_ended(processes: List[Tuple[int, str]], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while any(started(pid) == start for pid, start in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def in_another_container(kernel: Kernel) -> bool:
    """Return whether it began in this boot, but in another container: its process is unknown."""
    words, ours = kernel.boot.split(), this_boot().split()
    return words[:1] == ours[:1] and words[1:] != ours[1:]


def remove(path: Path, kernel: Optional[Kernel]) -> None:
    """Remove the folder of a kernel, unless a fresh one of the same lab has it by now.

    It is renamed first, so that what has a kernel's name is whole, and looked at once more: the
    fresh one may have come meanwhile.
    """
    if kernel and _is_of_another(path, kernel):
        return
    gone = path.with_name("gone-{}-{}".format(path.name, os.getpid()))
    with contextlib.suppress(OSError):
        path.rename(gone)
    if kernel and _is_of_another(gone, kernel):
        with contextlib.suppress(OSError):
            gone.rename(path)
        return
    shutil.rmtree(str(gone), ignore_errors=True)


def _is_of_another(path: Path, kernel: Kernel) -> bool:
    found = read_kernel(path)
    return found is not None and (found.pid, found.start) != (kernel.pid, kernel.start)


@contextlib.contextmanager
def lock(name: str, *, patience: float = 30.0) -> Iterator[None]:
    """Hold the lock of a kernel's id, so that two windows do not start two kernels for one lab.

    Its file is removed at the end. Raises TimeoutError after `patience` seconds, and OSError.
    """
    path = folder(make=True) / "{}.lock".format(name)
    descriptor = locked(path, time.monotonic() + patience)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def locked(path: Path, deadline: float) -> int:
    """Return a descriptor that holds the lock of the file which has this name now."""
    while True:
        descriptor = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it has removed it: then another one has its name, or none.
            if os.path.samestat(os.fstat(descriptor), os.lstat(str(path))):
                return descriptor
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                os.close(descriptor)
                raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "Another window uses this kernel", str(path))
        time.sleep(0.02)
