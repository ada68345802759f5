"""The provenance of a run: its commit, uncommitted changes, packages and device.

Each function asks for a bounded time, and answers with nothing where it cannot know.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from .masking import Masker
from .snapshot import is_private

__all__ = ["PACKAGES", "device", "difference_of", "lock_hash", "source_of", "versions"]

PACKAGES = (
    *("torch", "torchvision", "lightning", "pytorch-lightning", "transformers", "tensorflow"),
    *("keras", "jax", "numpy", "pandas", "polars", "scipy", "scikit-learn", "xgboost", "lightgbm"),
    *("optuna",),
)
"""The packages whose versions are recorded, where they are installed."""

_LOCKS = ("requirements.lock", "uv.lock", "conda-lock.yml", "poetry.lock")
_LISTS = ("environment.yml", "pyproject.toml", "requirements.txt")
_UNCOMMITTED = "lab-uncommitted"  # the branch by which `lab push --push-dirty` sends files
# What is no code, where git does not ignore it.
_NO_CODE = ("outputs", "data", ".lab", ".venv")
_LARGEST_DIFFERENCE = 10**6  # bytes
_MOST_NEW_FILES = 200
_GIT_TIMEOUT = 20.0  # seconds
_CARD_TIMEOUT = 8.0


def source_of(project: Path, apart: Sequence[str] = ()) -> Dict[str, Any]:
    """Return the commit that is checked out, and whether the files differ from it.

    What `lab run --push-dirty` has sent counts as not committed: its commit is the one below. What
    is not known is left out. `apart` are folders for results.
    """
    # A folder that is in no repository may be below one: that of a home directory.
    known = _git(project, "ls-files", "--error-unmatch", "--", "lab.toml")
    prefix = _git(project, "rev-parse", "--show-prefix")
    if not known and prefix is not None and prefix.strip():
        return {}
    commit = _line(_git(project, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"))
    if commit is None:
        return {}
    branch = _line(_git(project, "symbolic-ref", "--quiet", "--short", "HEAD"))
    below = _line(_git(project, "rev-parse", "--verify", "--quiet", "HEAD^^{commit}"))
    if branch == _UNCOMMITTED and below is not None:
        return {"commit": below, "dirty": True}
    said = _git(project, "status", "--porcelain", "-z", "--", *_code(apart))
    if said is None:
        return {"commit": commit}
    changes = [os.fsdecode(line) for line in said.split(b"\0") if line]
    is_dirty = any(line[:3] != "?? " or not is_private(line[3:]) for line in changes)
    return {"commit": commit, "dirty": is_dirty}


def difference_of(
    project: Path,
    commit: str,
    secrets: Sequence[str] = (),
    *,
    until: str = "",
    apart: Sequence[str] = (),
) -> bytes:
    """Return what the files have besides a commit, as a patch; nothing if it is too large.

    With `until`, it is what that commit has, whatever the files are. New files that git does not
    ignore are a part of it, but for `.env` files. Values of secrets are masked.
    """
    code = _code(apart)
    quiet = ("--no-ext-diff", "--no-textconv", "--no-color", "--binary")
    patch = _git(project, "diff", *quiet, commit, *([until] if until else []), "--", *code)
    new = _git(project, "ls-files", "--others", "--exclude-standard", "-z", "--", *code)
    new = b"" if until else new
    if patch is None or new is None:
        return b""
    names = [name for name in new.split(b"\0") if name and not is_private(os.fsdecode(name))]
    if len(names) > _MOST_NEW_FILES:
        return b""
    for name in names:
        path = os.fsdecode(name)
        try:
            # A pipe would be read for ever.
            if not (project / path).is_file() or (project / path).stat().st_size > 10**6:
                return b""
        except OSError:
            return b""
        patch += _git(project, "diff", "--no-index", *quiet, "--", os.devnull, path, code=1) or b""
        if len(patch) > _LARGEST_DIFFERENCE:
            return b""
    if len(patch) > _LARGEST_DIFFERENCE:
        return b""
    masker = Masker(secrets)
    return masker.feed(patch) + masker.flush()


def _code(apart: Sequence[str]) -> List[str]:
    """Return what the code is for git: all but what holds data and results."""
    return [".", *(":(exclude){}".format(name) for name in (*_NO_CODE, *apart))]


def lock_hash(project: Path) -> str:
    """Return the SHA-256 of the project's lock, or else of its lists."""
    for names in (_LOCKS, _LISTS):
        digest, found = hashlib.sha256(), False
        for name in names:
            try:
                digest.update((project / name).read_bytes())
                found = True
            except OSError:
                continue
        if found:
            return digest.hexdigest()
    return ""


def versions(project: Path) -> Dict[str, str]:
    """Return the versions of Python and of PACKAGES in the project's environment.

    They are read from the names of folders, so nothing is imported.
    """
    environment = project / ".venv"
    if not environment.is_dir():
        environment = Path(sys.prefix)
    found = {"python": _python(environment)}
    for folder in [
        *environment.glob("lib/python3*/site-packages"),
        environment / "Lib/site-packages",
    ]:
        for path in folder.glob("*.dist-info"):
            name, _, version = path.name[: -len(".dist-info")].partition("-")
            name = re.sub(r"[-_.]+", "-", name).lower()
            if name in PACKAGES and version:
                found[name] = version
    return {name: version for name, version in sorted(found.items()) if version}


def _python(environment: Path) -> str:
    """Return the version of an environment's Python; empty if it does not say."""
    if os.path.realpath(str(environment)) == os.path.realpath(sys.prefix):
        return platform.python_version()
    try:
        text = (environment / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        names = sorted(path.name for path in environment.glob("conda-meta/python-3*.json"))
        return names[0].split("-")[1] if names else ""
    said = re.search(r"(?m)^version(?:_info)?\s*=\s*([0-9]+\.[0-9]+\.[0-9]+)", text)
    return said.group(1) if said else ""


def device() -> str:
    """Return the cards that a run can see, such as `2 x NVIDIA A100`, or else the processor."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    program = shutil.which("nvidia-smi")
    if program is not None and visible != "":
        command = [program, "--query-gpu=name", "--format=csv,noheader"]
        if visible is not None:
            command.append("--id=" + visible)
        said = _said(command, timeout=_CARD_TIMEOUT)
        names = [] if said is None else said.decode("utf-8", "replace").splitlines()
        names = [name.strip() for name in names if name.strip()]
        counted = {name: names.count(name) for name in names}
        if counted:
            parts = [name if n == 1 else "{} x {}".format(n, name) for name, n in counted.items()]
            return ", ".join(parts)
        return ""
    return _processor()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    said = re.search(r"(?m)^model name\s*:\s*(.+)$", text)
    return said.group(1).strip() if said else platform.machine()


def _line(said: Optional[bytes]) -> Optional[str]:
    """Return the one line that was printed; None for nothing."""
    text = "" if said is None else said.decode("utf-8", "replace").strip()
    return text or None


def _git(project: Path, *words: str, code: int = 0) -> Optional[bytes]:
    """Return what git prints; None if it is missing, or ends with another code than 0 or `code`.

    It writes nothing, not even its index, and starts no program that the repository names.
    """
    program = shutil.which("git")
    if program is None:
        return None
    settings = ["-c", "core.fsmonitor=false", "-c", "core.quotePath=true"]
    return _said(
        [program, *settings, *words], timeout=_GIT_TIMEOUT, codes=(0, code), folder=project
    )


def _said(
    command: List[str],
    *,
    timeout: float,
    codes: Sequence[int] = (0,),
    folder: Optional[Path] = None,
) -> Optional[bytes]:
    try:
        done = subprocess.run(
            command,
            cwd=None if folder is None else str(folder),
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode in codes else None
