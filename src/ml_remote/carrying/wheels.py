"""Which wheels the project needs on the machine: worked out by uv, one for each package."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ..errors import LabError, UsageError
from ..far.login.environment.managers.constraints import constraints_of_uv
from ..far.login.environment.managers.installing import is_installable
from ..package_lists import pyproject
from ..package_lists.local import texts_here
from ..package_lists.uv import reason, work_out
from ..parsing import parse_toml
from ..processes import Result
from .target import KEEP_CONDA, Target

__all__ = ["Wheel", "find_wheels"]

_LIST, _LOCK = "pyproject.toml", "requirements.lock"
_WANTED = "which wheels are needed"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}\.whl")  # an index names them
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file of the package index."""

    url: str
    sha256: str
    size: int
    """In bytes; 0 where the index does not say."""

    @property
    def name(self) -> str:
        """The name of the file."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


def find_wheels(root: Path, target: Target, *, torch: str, uv_too: bool) -> list[Wheel]:
    """Return the wheels of all that the project and its installation need, each once.

    `torch` is its build, `uv_too` whether uv is to be brought. Raises LabError, with uv's own
    reason, when a package has no wheel for the machine, and UsageError where only conda reads the
    list; nothing is fetched then.
    """
    texts = texts_here(root)
    if _LIST not in texts:
        raise UsageError(
            "--carry installs wheels, but this project only has a list for conda.",
            hint=KEEP_CONDA,
        )
    text = texts[_LIST]
    wanted = [*pyproject.options(text), *pyproject.requirements(text)]
    needs = []
    if is_installable(root):
        needs = _build_needs(root)
        if itself := pyproject.editable(text):  # it may say what else it needs
            wanted.append(f"--editable {itself}")
    options = ["--torch-backend", torch] if torch else []
    found = _resolve(root, wanted, target, options, lock=texts.get(_LOCK, ""))
    found += _resolve(root, [*needs, *(["uv"] if uv_too else [])], target)
    return list({wheel.name: wheel for wheel in found}.values())


def _build_needs(root: Path) -> list[str]:
    """Return what must be installed to build the project: by its file, and by its backend."""
    file = root / _LIST
    try:
        tables = parse_toml(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise LabError(f"{_LIST} cannot be read: {error}", hint="Correct it") from None
    system = tables.get("build-system", {})
    needed: list[str] = system.get("requires", ["setuptools"])
    backend = system.get("build-backend", "setuptools.build_meta")
    paths = [str(root / path) for path in system.get("backend-path", [])]
    given = [word for one in needed for word in ("--with", one)]
    with as_file(files(__package__).joinpath("build_needs.py")) as program:
        command = ["run", "--quiet", "--no-project", *given, "python", "-B", str(program)]
        done = work_out([*command, backend, *paths], root=root, what=_WANTED)
    if done.returncode != 0:
        raise _failure("The project's build system did not say what it needs", done)
    return [*needed, *filter(None, map(str.strip, done.stdout.splitlines()))]


def _resolve(
    root: Path, wanted: Sequence[str], target: Target, options: Sequence[str] = (), lock: str = ""
) -> list[Wheel]:
    """Return the wheel of each package that these requirements need, with the versions locked."""
    if not wanted:
        return []
    command = ["pip", "compile", "--quiet", "--only-binary", ":all:", "--format", "pylock.toml"]
    command += ["--python-version", target.python, "--python-platform", target.for_uv, *options]
    with tempfile.TemporaryDirectory() as folder:
        lists, found = Path(folder) / "requirements.in", Path(folder) / "pylock.toml"
        lists.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
        bounds = Path(folder) / "constraints.txt"
        bounds.write_text(lock, encoding="utf-8")
        command += ["--constraint", str(bounds), "--output-file", str(found), str(lists)]
        done = work_out(command, root=root, what=_WANTED)
        if done.returncode != 0:
            raise _failure("There are no wheels for the machine", done, constraints_of_uv(root))
        packages = parse_toml(found.read_text(encoding="utf-8")).get("packages", [])
    return [_wheel(package) for package in packages if "directory" not in package]


def _wheel(package: dict[str, Any]) -> Wheel:
    """Return the wheel that uv chose for a package: it names one that fits."""
    for one in package.get("wheels", ()):
        url, sha256 = one.get("url", ""), one.get("hashes", {}).get("sha256", "")
        name = Wheel(url=url, sha256=sha256, size=0).name
        if _NAME.fullmatch(name) and _SHA256.fullmatch(sha256):
            size = one.get("size", 0)
            if not size and url.startswith("file:"):
                size = Path(url2pathname(urlsplit(url).path)).stat().st_size
            return Wheel(url=url, sha256=sha256, size=size)
    raise LabError(
        f"{package.get('name')} has no wheel for the machine. Nothing was downloaded.",
        hint="Ask for another version of it in pyproject.toml, or remove it",
    )


def _failure(what: str, done: Result, own: Sequence[str] = ()) -> LabError:
    """Return the error in uv's words; `own` are sentences about bounds that are in no list."""
    said = reason(done.stderr)
    return LabError(
        " ".join([f"{what}. Nothing was downloaded. uv says: {said}", *own]),
        quoted=(said,),
        hint="Ask for another version in pyproject.toml, or check that the index can be reached",
    )
