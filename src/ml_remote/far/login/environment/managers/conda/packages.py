"""What an environment consists of, by its conda-meta, and packages of the cache that are damaged.

A client that is killed while it unpacks leaves a folder that is not whole in the cache, which all
environments of the person share. conda then refuses every installation; or, killed inside the last
file, only warns and links that.
"""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Set

__all__ = [
    "Package",
    "damaged_folders",
    "incomplete_packages",
    "needless",
    "packages_of",
    "remove_damaged",
]

_DAMAGED = re.compile(r"The package for \S+ located at (.+?)\s+appears to be corrupted", re.DOTALL)
_FOLDER = re.compile(r"^[A-Za-z0-9_.]+[A-Za-z0-9_.+!-]*-[^-/]+-[^-/]+$")
_NAME_END = re.compile(r"[\[<>=!~ ]")
_LONGEST_NAME = 4096


class Package(NamedTuple):
    """A package in an environment."""

    name: str
    version: str
    build: str
    url: str
    md5: str
    depends: List[str]
    folder: str
    """Where it is unpacked in the cache."""


def packages_of(prefix: Path) -> List[Package]:
    """Return the packages of an environment, each after those that it needs."""
    found = {package.name: package for package in map(_package, _metadata(prefix))}
    ordered: Dict[str, Package] = {}
    for name in sorted(found):
        _put(name, found, ordered, set())
    return list(ordered.values())


def _metadata(prefix: Path) -> Iterable[Dict[str, Any]]:
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(values, dict) and isinstance(values.get("name"), str):
            yield values


def _package(values: Dict[str, Any]) -> Package:
    name, version, build, url, md5, folder = (
        str(values.get(key) or "")
        for key in ("name", "version", "build", "url", "md5", "extracted_package_dir")
    )
    depends = [str(one) for one in values.get("depends") or []]
    return Package(name, version, build, url, md5, depends, folder)


def _put(
    name: str, found: Dict[str, Package], ordered: Dict[str, Package], above: Set[str]
) -> None:
    """Put a package behind what it needs; python and pip need each other, in some channels."""
    if name not in found or name in ordered or name in above:
        return
    for needed in found[name].depends:
        _put(needed.split()[0].split("=")[0], found, ordered, above | {name})
    ordered[name] = found[name]


def needless(packages: Iterable[Package], kept: Iterable[str]) -> List[str]:
    """Return the names of the packages that none of the requirements `kept` needs."""
    found = {package.name: package for package in packages}
    left = [_NAME_END.split(spec.rpartition("::")[2])[0].lower() for spec in kept]
    needed: Set[str] = set()
    while left:
        name = left.pop()
        if name in found and name not in needed:
            needed.add(name)
            left += [one.split()[0].split("=")[0] for one in found[name].depends]
    return sorted(set(found) - needed)


def incomplete_packages(prefix: Path) -> List[Package]:
    """Return the packages of which a file has another size than it should have.

    It has so in the cache as well: otherwise another package has put its own file there. Files that
    the client has changed, for they contain the prefix, have no known size.
    """
    sites = [*prefix.glob("lib/python*/site-packages"), prefix / "Lib" / "site-packages"]
    site = sites[0]
    places = {"site-packages/": site, "python-scripts/": prefix / "bin"}
    return [
        _package(values) for values in _metadata(prefix) if not _is_whole(prefix, places, values)
    ]


def _is_whole(prefix: Path, places: Dict[str, Path], values: Dict[str, Any]) -> bool:
    cached = Path(str(values.get("extracted_package_dir") or os.devnull))
    for entry in (values.get("paths_data") or {}).get("paths") or []:
        size, path = entry.get("size_in_bytes"), str(entry.get("_path"))
        if size is None or entry.get("prefix_placeholder") or entry.get("path_type") == "softlink":
            continue
        installed = [prefix / path]
        installed += [
            place / path[len(key) :] for key, place in places.items() if path.startswith(key)
        ]
        if any(_size(file) == size for file in installed):
            continue
        inside = [cached / path]
        inside += [cached / "site-packages" / path.partition("/site-packages/")[2]]
        if not any(_size(file) == size for file in inside) and cached.is_dir():
            return False
    return True


def _size(path: Path) -> int:
    try:
        return os.lstat(str(path)).st_size
    except OSError:
        return -1


def damaged_folders(text: str) -> List[str]:
    """Return the folders that conda names as corrupted in what it printed."""
    found = [path.replace("\n", "") for path in _DAMAGED.findall(text)]
    return sorted({path for path in found if len(path) < _LONGEST_NAME})


def remove_damaged(folders: Iterable[str]) -> List[str]:
    """Remove folders of the package cache; return those that are gone.

    Nothing else is removed: it must have the name of a package, contain what every package has or
    are beside its archive, in a package cache. The archive is whole, and stays.
    """
    return [folder for folder in folders if _is_in_cache(folder) and _remove(folder)]


def _is_in_cache(folder: str) -> bool:
    parent, name = os.path.split(folder.rstrip(os.sep))
    archives = [folder + ending for ending in (".conda", ".tar.bz2")]
    marks = [os.path.join(parent, mark) for mark in ("urls.txt", "urls")]
    return (
        os.path.isabs(folder)
        and os.path.isdir(folder)
        and not os.path.islink(folder)
        and bool(_FOLDER.match(name))
        and (os.path.isdir(os.path.join(folder, "info")) or any(map(os.path.exists, archives)))
        and any(map(os.path.exists, marks))
    )


def _remove(folder: str) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not os.path.exists(folder)
