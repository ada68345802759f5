"""The code of one run, in a folder of its own: `.lab/code/<run id>`.

A run that starts later than it was asked for, or that nobody waits for, keeps the code that it was
asked with, whatever is pushed or edited meanwhile, and what it writes beside its code is its alone:

    make      writes the files of a commit there. `data`, `outputs`, `.lab` and `.venv` lead to the
              project's; what git does not have is copied or linked (untracked_files.py)
    finish    moves what is new into the run's results, and removes the rest

What a checkout consists of is in `.lab/code/<run id>.json`, so that no git is needed at the end.
As a part of the far half, `checkout begin`, `prove` and `finish` serve the scripts of a job; `kind`
says if runs have a checkout, or use the folder.
"""

import json
import os
import re
import shutil
import sys
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from ..exit_codes import ExitCode
from .files import replace_text
from .metrics import read_object
from .moving_results import live_processes, move_new
from .record import DIFFERENCE, RECORD
from .snapshot import OWN, CodeError, again, base, check_out, has_repository, snapshot
from .untracked_files import copy_untracked

__all__ = ["CODE", "elsewhere", "finish", "main", "make", "use_checkout", "variables"]

CODE = ".lab/code"
"""Where checkouts are, from the project's folder."""

_ABANDONED = 3600  # seconds after which a checkout that was begun is no longer made


def make(project: Path, run_id: str, commit: str, folders: Sequence[str] = ()) -> Path:
    """Make the checkout of a run, and these folders in it; return it.

    One that is there already, of the same commit, is returned as it is: a run that is started again
    finds what it has written. Raises CodeError and OSError; then there is none.
    """
    project = project.resolve()
    place = project / CODE / run_id
    if place.is_dir():
        if _read(place).get("commit") != commit:
            raise CodeError("a checkout of another commit already exists for {}".format(run_id))
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(run_id + ".new")
    shutil.rmtree(str(new), ignore_errors=True)
    new.mkdir()
    try:
        names = check_out(project, commit, new)
        _link_own(project, new)
        path = _python_path(project, place, new)
        for folder in folders:
            (new / folder).mkdir(parents=True, exist_ok=True)
        copy_untracked(project, new, names, folders)
        known = {"commit": commit, "path": path, "files": _files(new)}
        _manifest(place).write_text(json.dumps(known), encoding="ascii")
        new.rename(place)
    except BaseException:
        shutil.rmtree(str(new), ignore_errors=True)
        raise
    return place


def variables(checkout: Path) -> Dict[str, str]:
    """Return what a program is to find in its environment so that it uses the code of a checkout.

    PYTHONPATH comes before what it has otherwise.
    """
    paths = os.pathsep.join(_read(checkout).get("path", [str(checkout / "src")]))
    return {"LAB_CODE": str(checkout), "PYTHONPATH": paths}


def use_checkout() -> List[str]:
    """Make programs that this process starts use the code of the run's checkout, if it has one.

    Return where Python is to look first. A part of the far half that needs the environment begins
    without PYTHONPATH.
    """
    checkout = os.environ.get("LAB_CODE")
    if not checkout:
        return []
    os.environ["PYTHONPATH"] = variables(Path(checkout))["PYTHONPATH"]
    return os.environ["PYTHONPATH"].split(os.pathsep)


def elsewhere(checkout: Path) -> List[str]:
    """Return the packages of a checkout that this Python would take from elsewhere, and whence.

    That is what the hooks of an editable install do: they come before PYTHONPATH.
    """
    own = [path for path in variables(checkout)["PYTHONPATH"].split(os.pathsep) if path]
    found = []
    before = list(sys.path)
    sys.path[:] = own + [path for path in before[1:] if path not in own]
    try:
        for folder in own:
            for package in sorted(Path(folder).glob("[!.]*/__init__.py")):
                spec = find_spec(package.parent.name)
                origin = "" if spec is None else spec.origin or ""
                if os.path.realpath(origin) != os.path.realpath(str(package)):
                    found.append("{} from {}".format(package.parent.name, origin or "nowhere"))
    finally:
        sys.path[:] = before
    return found


def finish(project: Path, run_id: str, results: Path, *, at_end: bool = False) -> bool:
    """Move what a run has written in its checkout into its results; then the checkout goes.

    Nothing there is replaced, and no link is followed. Return whether all is done: not while a
    process of the run lives, unless the run itself has come to its end (`at_end`); then its
    files are moved, and its code stays until that process has ended. Raises OSError when something
    cannot be moved; it is where it was then.
    """
    project = project.resolve()
    place = project / CODE / run_id
    if not place.is_dir():
        return True
    with _alone(place):
        if not place.is_dir():
            return True
        living = live_processes(project / ".lab" / "jobs" / run_id, place)
        if living and not at_end:
            return False
        move_new(place, _read(place).get("files", {}), project=project, results=results)
        if living:
            return False
        gone = place.with_name(run_id + ".gone")
        place.rename(gone)
        shutil.rmtree(str(gone))
        _manifest(place).unlink()
    return True


def main(arguments: List[str]) -> int:
    """Run `begin`, `prove`, `kind` or `finish`; return the exit code."""
    word, *words = arguments
    project = Path.cwd()
    try:
        if word == "begin":
            _begin(project, *words)
        elif word == "prove":
            _prove(Path(words[0]), Path(words[1]))
        elif word == "kind":
            print("checkout" if has_repository(project) else "folder")
        elif finish(project, words[0], Path(words[1]), at_end=words[2:] == ["end"]):
            (project / ".lab" / "jobs" / words[0] / "finish").unlink()
    except CodeError as error:
        print(error)
        return ExitCode.NO_CODE
    except OSError as error:
        print("{}: {}".format(error.filename or "The code of the run", error.strerror))
        return ExitCode.NO_CODE
    return 0


def _begin(project: Path, run_id: str, results: str, folders: str, repeated: str = "") -> None:
    """Make the checkout of a job, and note in its folder what it is and how it is finished.

    `repeated` is the folder below `outputs/` of a run whose code it is to be.
    """
    _remove_abandoned(project / CODE)
    job = project / ".lab" / "jobs" / run_id
    goes_to = str(project / (results + run_id if results.endswith("/") else results))
    wanted = [one for one in folders.split("\n") if one]
    taken = _code_of(project, repeated) if repeated else snapshot(project, wanted)
    if taken is None:
        if folders:  # what is new in them is copied
            (job / "folders").write_text("\n".join([goes_to, folders, ""]), encoding="utf-8")
        remark = "uses the folder's code, which is not in a git repository"
        _note(job, ["folder", "", "", "", "", remark])
        return
    commit, is_dirty = taken
    place = make(project, run_id, commit, wanted)
    far = Path(__file__).resolve().parents[3]
    words = [sys.executable, "-s", "-E", str(far), "checkout", "finish", run_id, goes_to]
    line = 'cd {} && {} "$@"\n'.format(quote(str(project)), " ".join(map(quote, words)))
    (job / "finish").write_text(line, encoding="utf-8")
    follows = _record_of(project, repeated)["commit"] if repeated else base(project)
    state = "dirty" if is_dirty or follows != commit else "clean"
    _note(job, ["checkout", commit, follows, state, variables(place)["PYTHONPATH"], ""])


def _code_of(project: Path, repeated: str) -> Tuple[str, bool]:
    """Return the commit that a run used, and whether that was more than a commit of its own.

    Raises CodeError when that is not known, or not there any more.
    """
    record = _record_of(project, repeated)
    is_dirty = record.get("dirty") is not False
    patch = project / "outputs" / repeated / DIFFERENCE
    if is_dirty and not patch.is_file():
        raise CodeError("its changes on top of commit {} are missing".format(record["commit"]))
    return again(project, record["commit"], patch if is_dirty else None), is_dirty


def _record_of(project: Path, repeated: str) -> Dict[str, Any]:
    """Return the record of a run that names its commit. Raises CodeError."""
    record = read_object(project / "outputs" / repeated / RECORD)
    if not re.fullmatch("[0-9a-f]{40}([0-9a-f]{24})?", str(record.get("commit", ""))):
        raise CodeError("the repeated run has no record of its commit")
    return record


def _prove(checkout: Path, job: Path) -> None:
    """Report where packages of the project come from, if that is not the checkout."""
    found = elsewhere(checkout)
    if found:
        remark = "uses the folder's code: {}".format(", ".join(found))
        print("An editable install comes first, so this run {}.".format(remark), flush=True)
        lines = (job / "code").read_text(encoding="utf-8").split("\n")
        _note(job, [*lines[:5], remark])


def _note(job: Path, lines: Sequence[str]) -> None:
    replace_text(job / "code", "".join(line + "\n" for line in lines))


def _remove_abandoned(code: Path) -> None:
    """Remove what was begun by a command that did not come to its end."""
    now = code.parent / ".now"
    for pattern in ("*.new", "*.gone", "index-*"):
        for path in code.glob(pattern):
            try:
                now.touch()
                if path.lstat().st_mtime > now.stat().st_mtime - _ABANDONED:
                    continue
                shutil.rmtree(str(path)) if path.is_dir() else path.unlink()
            except OSError:  # another command does the same
                continue


def _link_own(project: Path, new: Path) -> None:
    """Link the project's other files into it; make a folder for results, as every run has one."""
    (project / "outputs").mkdir(exist_ok=True)
    for name in OWN:
        if os.path.lexists(str(project / name)):
            (new / name).symlink_to(project / name)


def _python_path(project: Path, place: Path, new: Path) -> List[str]:
    """Return where Python is to look first: `src`, and what leads into the project's folder now.

    The latter are the folders of editable installs, as a `.pth` file names them.
    """
    found = [str(place / "src")]
    for path in sys.path:
        inside = os.path.relpath(os.path.realpath(path), str(project)) if path else os.pardir
        first = inside.split(os.sep)[0]
        if first not in (os.pardir, *OWN) and (new / inside).is_dir():
            found.append(os.path.normpath(str(place / inside)))
    return sorted(set(found), key=found.index)


def _files(folder: Path) -> Dict[str, List[int]]:
    """Return size and time of every file and link, by its name in the folder."""
    found = {}
    for above, folders, names in os.walk(str(folder)):
        inside = os.path.relpath(above, str(folder))
        links = [one for one in folders if os.path.islink(os.path.join(above, one))]
        for name in names + links:
            status = os.lstat(os.path.join(above, name))
            relative = name if inside == os.curdir else os.path.join(inside, name)
            found[relative] = [status.st_size, status.st_mtime_ns]
    return found


def _manifest(place: Path) -> Path:
    return place.with_name(place.name + ".json")


def _read(place: Path) -> Dict[str, Any]:
    """Return what a checkout consists of; nothing where that is lost: then all of it is new."""
    try:
        known = json.loads(_manifest(place).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock of this checkout, so that only one process finishes it."""
    import fcntl  # Windows has none

    handle = os.open(str(_manifest(place)), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):  # a disk without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
