"""The far half as files, and where it is in a project: `.lab/far/<hash>`, written once.

The name is a hash of all names and contents, so a folder that is there is complete and never
changes; jobs that were begun with it find it as it was. `.lab/far/current` leads to the one that
the last setup named: tasks, CI and people without a laptop use that.

    python -m ml_remote.far install .lab/far [COMMIT]

copies this far half into a project and makes it the current one. COMMIT, that of the tool, is kept
beside it, so that nobody fetches the same one again. Any Python from 3.6 on can do this.
"""

import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Dict, List

__all__ = ["FAR", "content_hash", "far_files", "ignore", "install", "main", "make_current"]

FAR = ".lab/far"
"""Where far halves are, from the project's folder."""

_PACKAGE = Path(__file__).resolve().parents[1]
_HASH_LENGTH = 16
_DAY = 24 * 3600
_LARGEST = 2**24  # bytes of a file that describes a job
_ENTRY = '''\
"""Start a part of the far half: `.venv/bin/python .lab/far/current headless labs/LAB.py`."""

import sys
from pathlib import Path

# Absolute, and past the link `current`: what is imported later comes from the same far half.
sys.path[0] = str(Path(__file__).resolve().parent)

from ml_remote.far.__main__ import main

sys.exit(main())
'''


def far_files() -> Dict[str, str]:
    """Return the far half: the text of each file, by its path in the folder."""
    sources = [_PACKAGE / "__init__.py"]
    sources += [path for path in (_PACKAGE / "far").rglob("*") if path.suffix in (".py", ".sh")]
    texts = {
        f"{_PACKAGE.name}/{path.relative_to(_PACKAGE).as_posix()}": path.read_text(encoding="utf-8")
        for path in sources
    }
    return {"__main__.py": _ENTRY, **dict(sorted(texts.items()))}


def content_hash(files: Dict[str, str]) -> str:
    """Return the name of the folder for these files."""
    digest = hashlib.sha256()
    for name, text in files.items():
        for part in (name.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()[:_HASH_LENGTH]


def install(far: Path) -> Path:
    """Put this far half into the folder `far` of a project, if it is missing; return its folder."""
    far = far.resolve()
    files = far_files()
    folder = far / content_hash(files)
    if (folder / "__main__.py").is_file():
        with suppress(OSError):  # somebody else's: of use all the same
            os.utime(folder)
        return folder
    if folder.is_dir():  # somebody, or a clean-up, has removed its files
        _remove(folder)
    far.mkdir(parents=True, exist_ok=True)
    ignore(far.parent)
    incomplete = Path(tempfile.mkdtemp(prefix="new-", dir=str(far)))
    for name, text in files.items():
        path = incomplete / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))  # with these ends of lines, on Windows too
    incomplete.chmod(0o755 & ~_umask())
    try:
        incomplete.rename(folder)
    except OSError:  # somebody else was faster
        shutil.rmtree(str(incomplete))
        if not folder.is_dir():
            raise
    _remove_unused(far, folder)
    return folder


def ignore(state: Path) -> None:
    """Ensure that git ignores the folder `.lab`, whatever the project's own .gitignore says."""
    mark = state / ".gitignore"
    if not mark.exists():
        with suppress(OSError):  # somebody else's folder, or a full disk
            mark.write_text("*\n", encoding="utf-8")


def make_current(folder: Path, commit: str = "") -> None:
    """Point `current` at this folder, and keep the commit of the tool beside it."""
    current = folder.with_name("current")
    beside = folder.with_name("current.commit")
    _unlink(beside)
    new = folder.with_name(f"current-{os.getpid()}")
    try:
        new.symlink_to(folder.name)
        new.replace(current)
    except OSError:  # Windows lets few people make links: there it is a copy
        _unlink(new)
        shutil.rmtree(str(current), ignore_errors=True)
        shutil.copytree(str(folder), str(current))
    if commit:
        beside.write_text(f"{commit}\n", encoding="utf-8")


def main(arguments: List[str]) -> int:
    """Install this far half in the folder that is named, and make it the current one."""
    far, *commit = arguments
    make_current(install(Path(far)), *commit)
    return 0


def _remove_unused(far: Path, folder: Path) -> None:
    """Remove the other far halves that are not current, were not used for a day, and no job names.

    Whether a job is over is not known here; far/login/install_far.sh removes what such ones name.
    """
    named = ""
    for path in [*far.parent.glob("jobs/*/command"), *far.parent.glob("jobs/*/about.json")]:
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
                return  # a pipe or a device would be read for ever; it may name any, too
            named += path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:  # another command has just removed the job
            continue
        except OSError:  # what cannot be read may name any of them
            return
    current = (far / "current").resolve()
    for other in far.iterdir():
        kept = other.name == "current" or other in (folder, current) or other.name in named
        with suppress(OSError):  # another command may do the same
            if other.is_dir() and not kept and other.stat().st_mtime < time.time() - _DAY:
                _remove(other)


def _remove(folder: Path) -> None:
    """Remove a far half; renamed first, so that what is under its own name is complete."""
    gone = folder.with_name(f"gone-{os.getpid()}")
    with suppress(OSError):  # another command may do the same
        folder.rename(gone)
    shutil.rmtree(str(gone), ignore_errors=True)


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
