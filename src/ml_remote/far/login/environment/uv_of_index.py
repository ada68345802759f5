"""uv's wheel, fetched without pip: from the index that pip is configured for.

Its sha256 must be the one that the index names.
"""

import hashlib
import os
import platform
import re
import ssl
import sys
import urllib.request
from configparser import ConfigParser, Error
from html.parser import HTMLParser
from typing import Dict, List, Optional, Tuple
from urllib.parse import unquote, urljoin, urlsplit

from .failures import Failure

__all__ = ["fetch_wheel"]

_WHEEL = re.compile(r"^uv-(\d+(?:\.\d+)*)-py3-none-(.+)\.whl$")
_SECONDS = 60
_Wheel = Tuple[Tuple[int, ...], str, str]


def fetch_wheel() -> bytes:
    """Return the newest wheel for this machine. Raises Failure, OSError and ValueError."""
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
    return content


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
