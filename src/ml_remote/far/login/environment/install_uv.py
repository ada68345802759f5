"""Install uv into `.lab/uv`: by pip, or by Python's own urllib where there is no pip.

Nothing else of the person's is changed: pip keeps no cache, and a uv that was brought keeps its own
in `.lab/cache`. Without pip the wheel is taken from the index that pip is configured for; its
sha256 must be the one that the index names.
"""

import hashlib
import os
import platform
import re
import shutil
import ssl
import sys
import urllib.request
import zipfile
from configparser import ConfigParser, Error
from html.parser import HTMLParser
from pathlib import Path
from typing import Dict, List, Optional, Tuple
from urllib.parse import unquote, urljoin, urlsplit

from .carried import carried_wheels
from .commands import run
from .failures import Failure, ManagerError

__all__ = ["BROUGHT", "install_uv"]

BROUGHT = Path(".lab", "uv")
"""Where it is, from the project's folder."""

_WHEEL = re.compile(r"^uv-(\d+(?:\.\d+)*)-py3-none-(.+)\.whl$")
_SECONDS = 60
_Wheel = Tuple[Tuple[int, ...], str, str]


def install_uv(root: Path) -> Path:
    """Put uv into `.lab/uv`, and return its path. Raises Failure when it is not available."""
    folder = root / BROUGHT
    new = folder.with_name("uv-new-{}".format(os.getpid()))
    shutil.rmtree(str(new), ignore_errors=True)
    try:
        new.mkdir(parents=True)
        folder_of_wheels = carried_wheels()
        brought = sorted(folder_of_wheels.glob("uv-*.whl")) if folder_of_wheels else []
        if brought:
            _unpack(brought[-1], new / "bin" / "uv")
        elif _has_pip():
            _by_pip(new)
        else:
            _by_urllib(new)
        (new / "bin" / "uv").chmod(0o755)
        shutil.rmtree(str(folder), ignore_errors=True)
        new.rename(folder)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise Failure("uv cannot be downloaded: {}.".format(error))
    finally:
        shutil.rmtree(str(new), ignore_errors=True)
    return folder / "bin" / "uv"


def _has_pip() -> bool:
    try:
        run([sys.executable, "-m", "pip", "--version"], on_line=lambda _: True)
    except ManagerError:
        return False
    return True


def _by_pip(folder: Path) -> None:
    options = ["--quiet", "--no-cache-dir", "--disable-pip-version-check", "--no-deps"]
    command = [sys.executable, "-m", "pip", "install", *options, "--only-binary", ":all:"]
    try:
        run([*command, "--target", str(folder), "uv"], on_line=lambda _: True)
    except ManagerError as error:
        lines = [line for line in error.text.splitlines() if line.startswith("ERROR")]
        raise Failure("pip cannot download uv: {}".format((lines or [str(error)])[-1]))


def _by_urllib(folder: Path) -> None:
    index = _configured("index-url", os.environ.get("LAB_INDEX", ""))
    if not index:
        raise Failure(
            "uv cannot be downloaded: Python has no pip here, and no package index is configured.",
            "Run `lab setup` on your laptop, which passes on its own index. Or install uv on "
            "this machine.",
        )
    page = "{}/uv/".format(index.rstrip("/"))
    wheels = _Links(page)
    wheels.feed(_fetched(page).decode("utf-8", "replace"))
    if not wheels.found:
        raise Failure("{} has no uv for this machine.".format(page))
    _, address, expected = max(wheels.found)
    content = _fetched(address)
    if hashlib.sha256(content).hexdigest() != expected:
        raise Failure("{} does not match its index: the sha256 differs.".format(address))
    archive = folder / "uv.whl"
    archive.write_bytes(content)
    _unpack(archive, folder / "bin" / "uv")
    archive.unlink()


def _unpack(archive: Path, program: Path) -> None:
    """Write the program that is in a wheel of uv."""
    program.parent.mkdir()
    with zipfile.ZipFile(str(archive)) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".data/scripts/uv"))
        program.write_bytes(wheel.read(name))


class _Links(HTMLParser):
    """The wheels of uv on a page of an index that fit this machine and have a hash."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: List[_Wheel] = []
        self._page = page

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        address = dict(attrs).get("href") if tag == "a" else None
        if not address:
            return
        parts = urlsplit(urljoin(self._page, address))
        wheel = _WHEEL.match(unquote(parts.path.rpartition("/")[2]))
        kind, _, expected = parts.fragment.partition("=")
        if wheel is None or kind != "sha256" or "data-yanked" in dict(attrs):
            return
        if any(_fits(tag) for tag in wheel.group(2).split(".")):
            version = tuple(int(number) for number in wheel.group(1).split("."))
            self.found.append((version, parts._replace(fragment="").geturl(), expected))


def _fits(tag: str) -> bool:
    """Return whether a platform tag is of this machine."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return tag.startswith("macosx_") and tag.endswith("_" + machine)
    if not tag.endswith("_" + machine):
        return False
    libc, version = platform.libc_ver()
    numbers = re.match(r"^manylinux_(\d+)_(\d+)_", tag)
    if libc != "glibc":
        return tag.startswith("musllinux_")
    if numbers is None:
        return tag.startswith("manylinux")
    own = tuple(int(number) for number in version.split(".")[:2])
    return own >= (int(numbers.group(1)), int(numbers.group(2)))


def _fetched(address: str) -> bytes:
    """Return what is at an address; raises OSError."""
    request = urllib.request.Request(address, headers={"Accept": "text/html, */*"})
    authority = os.environ.get("PIP_CERT") or _configured("cert", "")
    context = ssl.create_default_context(cafile=authority or None)
    with urllib.request.urlopen(request, timeout=_SECONDS, context=context) as answer:
        content: bytes = answer.read()
    return content


def _configured(name: str, default: str) -> str:
    """Return what pip is configured to use: by a variable, or in the files that it reads."""
    given = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if given:
        return given
    found: Dict[str, str] = {}
    own = os.environ.get("PIP_CONFIG_FILE", "")
    home = os.path.expanduser("~")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    places = ["/etc/pip.conf", os.path.join(home, ".pip", "pip.conf")]
    places += [os.path.join(config, "pip", "pip.conf"), os.path.join(sys.prefix, "pip.conf"), own]
    for place in places:
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(place, encoding="utf-8")
        except (Error, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_option(section, name):
                found[name] = parser.get(section, name).strip()
    return found.get(name, default)
