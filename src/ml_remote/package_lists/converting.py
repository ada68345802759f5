"""Convert a repository's own list to the files that a setup on the machine reads."""

from __future__ import annotations

import io
import posixpath
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ..errors import LabError
from ..parsing import parse_toml
from ..processes import run
from . import poetry
from .paths import check_merged, list_path
from .sources import table, texts, unusable
from .uv import reason, uv_program

__all__ = ["INTERACTIVE", "converted_lists", "has_hashes"]

INTERACTIVE = (
    "ipykernel>=6.29",
    "jupyterlab>=4.3",
    "jupytext>=1.17",
    "nbconvert>=7.16",
    "papermill>=2.6",
    "psutil>=5.9",
)
"""What `lab jupyter` and `lab run LAB` need; installed beside what the list asks for."""
_EXTRAS = ("lab", "dev")
_OWN_PROJECT = re.compile(r"(?:(?:-e|--editable)[ =]?\s*)?\.?/?(?:\.(\[[\w, .-]*\])?)?")
_HASHES = re.compile(r"(^|\s)--(hash[= ]|require-hashes$)")
_LOCAL = re.compile(
    r"(?:-[if]|--(?:index-url|extra-index-url|find-links))[ =]?\s*(?!https?://|\$)\S"
)
_SECONDS = 120
_DEEPEST = 10  # lists that name lists


@dataclass
class _Wanted:
    """What a list asks for."""

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    """Lines about indexes, which uv and pip both read in a list."""
    editable: str = "."
    """What of the project itself is installed: `.`, or with extras `.[train]`."""


def converted_lists(root: Path, source: str) -> dict[str, str]:
    """Return the texts by the names that the machine knows. Raises LabError."""
    name = PurePosixPath(source).name
    if name == "uv.lock":
        wanted = _of_uv(root, source)
    elif name.endswith((".yml", ".yaml")):
        return {"environment.yml": _with_interactive(_read(root, source), source)}
    elif name == "pyproject.toml":
        wanted = _of_pyproject(root, source)
    else:
        wanted = _of_requirements(root, source)
    names = {_name_of(line) for line in wanted.requirements}
    more = [line for line in INTERACTIVE if _name_of(line) not in names]
    project: dict[str, Any] = {
        "name": "lab-environment",
        "version": "0",
        "dependencies": [*wanted.requirements, *more],
    }
    lab = {"index-options": wanted.options, "editable": wanted.editable}
    texts = {"pyproject.toml": tomli_w.dumps({"project": project, "tool": {"lab": lab}})}
    if wanted.constraints:
        texts["requirements.lock"] = "".join(f"{line}\n" for line in wanted.constraints)
    return texts


def has_hashes(root: Path, source: str) -> bool:
    """Return whether a list of pip's has hashes of the packages, which `lab` leaves out."""
    if not source.endswith(".txt"):
        return False
    lines = _lines(root, source, is_constraint=False, depth=0)
    return any(_HASHES.search(line) for line, _, _ in lines)


def _of_uv(root: Path, source: str) -> _Wanted:
    """Read uv.lock, without a change of it. Raises LabError in uv's words."""
    folder = list_path(root, source).parent
    command = [uv_program(), "export", "--frozen", "--no-emit-project", "--no-hashes"]
    command += ["--no-annotate", "--no-header", "--emit-index-url", "--quiet"]
    try:
        done = run(command, folder=folder, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise LabError(f"uv did not read {source} within {_SECONDS} seconds.") from None
    if done.returncode != 0:
        raise LabError(f"uv cannot read {source}: {reason(done.stderr)}", hint="Update it: uv lock")
    wanted = _Wanted()
    for line in done.stdout.splitlines():
        if line.startswith("--"):
            wanted.options.append(line)
        elif line.startswith(("-e ", "./", "../", "/", "file:")):
            raise unusable(source, line, "lab does not install packages from other folders")
        elif line.strip() and not line.startswith("#"):
            wanted.requirements.append(_checked(line, source))
    wanted.constraints = [line for line in wanted.requirements if "==" in line]
    return wanted


def _of_pyproject(root: Path, source: str) -> _Wanted:
    """Read the dependencies of PEP 621, PEP 735 or poetry. Raises LabError."""
    try:
        tables = parse_toml(_read(root, source))
    except ValueError as error:
        raise LabError(f"{source} is not valid TOML: {error}.", hint="Correct that file") from None
    project, wanted = table(tables, "project"), _Wanted()
    if "dependencies" in texts(project.get("dynamic"), source, "dynamic"):
        wanted.requirements += _dynamic(root, source, tables)
    wanted.requirements += texts(project.get("dependencies"), source, "dependencies")
    extras = table(project, "optional-dependencies")
    for extra in _EXTRAS:
        wanted.requirements += texts(extras.get(extra), source, extra)
    wanted.requirements += _group(table(tables, "dependency-groups"), "dev", source)
    if {*table(tables, "tool", "pixi", "dependencies")} - {"python"}:
        raise unusable(source, "[tool.pixi.dependencies]", "lab does not read pixi's lists")
    of_poetry = table(tables, "tool", "poetry")
    if "dependencies" in project:
        poetry.check_places(of_poetry, source)
    else:
        wanted.requirements += poetry.requirements(of_poetry, source)
    lines = [_checked(line, source) for line in wanted.requirements]
    wanted.requirements = _from_sources(lines, table(tables, "tool", "uv"), source)
    wanted.options = [*_indexes(table(tables, "tool", "uv")), *poetry.indexes(of_poetry)]
    return wanted


def _dynamic(root: Path, source: str, tables: Mapping[str, Any]) -> list[str]:
    """Return the dependencies that setuptools reads from files; others come with the project."""
    named = table(tables, "tool", "setuptools", "dynamic", "dependencies")
    files = named.get("file")
    folder = PurePosixPath(source).parent
    found: list[str] = []
    for name in [files] if isinstance(files, str) else texts(files, source, "file"):
        found += _of_requirements(root, posixpath.normpath(folder / name)).requirements
    return found


def _group(groups: Mapping[str, Any], name: str, source: str, depth: int = 0) -> list[str]:
    """Return what a group of [dependency-groups] asks for, with the groups that it includes."""
    if depth > _DEEPEST:
        raise unusable(source, name, "this group includes itself")
    found: list[str] = []
    items = groups.get(name, [])
    if not isinstance(items, list):
        raise unusable(source, name, "it must be a list")
    for item in items:
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, Mapping) and "include-group" in item:
            found += _group(groups, str(item["include-group"]), source, depth + 1)
    return found


def _from_sources(lines: list[str], uv: Mapping[str, Any], source: str) -> list[str]:
    """Return requirements with the places that [tool.uv.sources] names. Raises LabError.

    A name of somebody's own must never be looked for on the public index.
    """
    named: dict[str, Any] = {
        canonicalize_name(name): value for name, value in table(uv, "sources").items()
    }
    found = []
    for line in lines:
        place = named.get(_name_of(line))
        requirement = Requirement(line)
        head = f"{requirement.name}[{','.join(sorted(requirement.extras))}]".removesuffix("[]")
        if place is None:
            found.append(line)
        elif isinstance(place, Mapping) and "url" in place:
            found.append(f"{head} @ {place['url']}")
        elif isinstance(place, Mapping) and "git" in place:
            revision = place.get("rev") or place.get("tag") or place.get("branch")
            found.append(f"{head} @ git+{place['git']}" + (f"@{revision}" if revision else ""))
        else:
            raise unusable(
                source, f"{requirement.name} in [tool.uv.sources]",
                "lab supports only git and url there; with a uv.lock (uv lock) it supports all",
            )  # fmt: skip
    return [_checked(line, source) for line in found]


def _indexes(uv: Mapping[str, Any]) -> list[str]:
    """Return the indexes of [[tool.uv.index]] that are for every package, as options."""
    found = []
    listed = uv.get("index", [])
    for index in listed if isinstance(listed, list) else []:
        if isinstance(index, Mapping) and "url" in index and not index.get("explicit"):
            option = "--index-url" if index.get("default") else "--extra-index-url"
            found.append(f"{option} {index['url']}")
    return found


def _of_requirements(root: Path, source: str) -> _Wanted:
    """Read a list of pip's, with the lists that it names. Raises LabError."""
    wanted = _Wanted()
    for line, is_constraint, name in _lines(root, source, is_constraint=False, depth=0):
        itself = _OWN_PROJECT.fullmatch(line)
        if itself is not None and line:  # the project, which is installed with what it needs
            wanted.editable = f".{itself[1] or ''}"
            continue
        if line.startswith(("-e", "--editable")):
            raise unusable(name, line, "lab does not install packages from other folders")
        if line.startswith(("-r", "-c", "--requirement", "--constraint")):
            raise unusable(name, line, "the name of a list cannot contain spaces")
        if line.startswith("-"):
            if _LOCAL.match(line):
                raise unusable(name, line, "the machine cannot reach this address")
            if line != "--require-hashes":  # what is installed beside the list has none
                wanted.options.append(line)
            continue
        text = re.sub(r"\s+--(hash|config-settings|global-option)[= ]\S+", "", line).strip()
        (wanted.constraints if is_constraint else wanted.requirements).append(_checked(text, name))
    return wanted


def _lines(
    root: Path, source: str, *, is_constraint: bool, depth: int
) -> Iterator[tuple[str, bool, str]]:
    """Yield the lines of a list, whether each is a constraint, and the file that it is in."""
    if depth > _DEEPEST:
        raise unusable(source, source, "these lists include each other")
    text = re.sub(r"\\\r?\n", " ", _read(root, source))
    for raw in text.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        named = re.match(r"(-r|--requirement|-c|--constraint)[ =]?\s*(\S+)$", line)
        if named is None:
            if line:
                yield line, is_constraint, source
            continue
        is_one = is_constraint or named[1] in ("-c", "--constraint")
        below = posixpath.normpath(PurePosixPath(source).parent / named[2])
        yield from _lines(root, below, is_constraint=is_one, depth=depth + 1)


def _checked(line: str, source: str) -> str:
    """Return a requirement as it is. Raises LabError for what is none."""
    try:
        address = Requirement(line).url or ""
    except InvalidRequirement:
        raise unusable(source, line, "it is not a requirement with a name") from None
    if re.match(r"(git\+)?file:", address):
        raise unusable(source, line, "lab does not install packages from other folders")
    return line


def _name_of(line: str) -> str:
    return canonicalize_name(Requirement(line).name)


def _with_interactive(text: str, source: str) -> str:
    """Return an environment.yml with what `lab jupyter` needs, as far as it is not in it."""
    yaml = YAML(typ="safe", pure=True)
    try:
        content = yaml.load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem", None) or "it is not YAML"
        raise LabError(f"{source} cannot be read: {mark}.", hint="Correct that file") from None
    listed = content.get("dependencies") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise unusable(source, "dependencies", "it must be a list of packages")
    named = [
        re.match(r"(?:[\w./-]+::)?([\w.-]+)", item) for item in listed if isinstance(item, str)
    ]
    names = {canonicalize_name(found[1]) for found in named if found}
    more = [line for line in INTERACTIVE if _name_of(line) not in names]
    if not more:
        return text
    content["dependencies"] = [*more, *listed]
    yaml.default_flow_style = False
    written = io.StringIO()
    yaml.dump(content, written)
    return written.getvalue()


def _read(root: Path, name: str) -> str:
    try:
        data = list_path(root, name).read_bytes()
        # PowerShell's `pip freeze > requirements.txt` writes UTF-16; pip and uv read that, too.
        is_utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise LabError(f"{name} cannot be read: {why}.", hint="Correct that file") from None
    check_merged(name, text)
    return text
