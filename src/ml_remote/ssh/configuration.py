"""Reading OpenSSH client configurations as ssh does, without changing a byte of them."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Line",
    "expanded",
    "home_directory",
    "include_home",
    "included_files",
    "named_hosts",
    "parse",
    "read_sources",
]

_BLANKS = " \t\r\n\f"
# ssh takes a = between keyword and value for a blank.
_KEYWORD = re.compile(rf"([^={_BLANKS}]+)[{_BLANKS}]*=?")
_WORD = re.compile(rf"""(?:\\ |"[^"]*"?|'[^']*'|[^"{_BLANKS}])+""")
_QUOTED = re.compile(r"""\\( )|"([^"]*)"?|'([^']*)'""")
_QUOTES = re.compile(r"[\"'\\]")
_NAMED_HOST = re.compile(r"[^*?!\s]+")


@dataclass(frozen=True)
class Line:
    """One line of a configuration.

    `raw` is the line with its ending; `keyword` is in lower case, and empty for a blank line or a
    comment; `arguments` are its unquoted values.
    """

    raw: bytes
    keyword: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def runs_command(self) -> bool:
        """Whether ssh may run a command on reading this line: rather too often than too seldom."""
        text = _QUOTES.sub("", self.raw.decode("utf-8", "replace"))
        return self.keyword.startswith("match") and "exec" in text.lower()


def parse(data: bytes) -> list[Line]:
    """Return the lines of a configuration; joined, their `raw` is `data` again."""
    return [_parse_line(raw) for raw in re.findall(rb"[^\n]*\n|[^\n]+", data)]


def _parse_line(raw: bytes) -> Line:
    text = raw.decode("utf-8", "surrogateescape").lstrip(f"{_BLANKS}=")
    start = _KEYWORD.match(text)
    if start is None or text.startswith("#"):
        return Line(raw)
    words = itertools.takewhile(
        lambda word: not word.startswith("#"), _WORD.findall(text, start.end())
    )
    keyword = _QUOTES.sub("", start[1]).lower()
    return Line(raw, keyword, tuple(_QUOTED.sub(r"\1\2\3", word) for word in words))


def home_directory() -> Path:
    """Return the home directory as ssh sees it: from the password database, not from `$HOME`."""
    if os.name == "posix":
        import pwd

        try:
            return Path(pwd.getpwuid(os.getuid()).pw_dir)
        except KeyError:
            pass  # a user without a name, as in some containers; ssh will say so itself
    return Path.home()


def expanded(name: str | Path) -> Path:
    """Return a path with `~` replaced as ssh does it: not by `$HOME`, which may be another one."""
    path = Path(name)
    if path.parts[:1] == ("~",):
        return home_directory().joinpath(*path.parts[1:])
    return Path(os.path.expanduser(path))  # noqa: PTH111 - an unknown ~user stays


def include_home() -> Path:
    """Return the home directory that `~` and a relative path in an Include are meant from.

    For these alone ssh asks `$HOME` first: it leaves them to glob.
    """
    if os.name == "posix" and "HOME" in os.environ:
        return Path(os.environ["HOME"])
    return home_directory()


def read_sources(config: Path, data: bytes) -> dict[Path, list[Line]]:
    """Return the lines of the configuration `data` of the file `config`, and of all it includes.

    Files that do not exist or cannot be read are left out.
    """
    sources = {config: parse(data)}
    waiting = [*sources[config]]
    while waiting:
        for path in included_files(waiting.pop()):
            try:
                found = [] if path in sources else parse(path.read_bytes())
            except OSError:
                continue  # ssh itself says what is wrong with it
            sources.setdefault(path, found)
            waiting += found
    return sources


def included_files(line: Line) -> list[Path]:
    """Return the files that an Include line names and that exist, in the order ssh reads them.

    A relative path starts at `~/.ssh`, whichever file the line is in.
    """
    found: list[Path] = []
    for argument in line.arguments if line.keyword == "include" else ():
        base = glob.escape(str(include_home() / ".ssh"))
        pattern = os.path.join(base, os.path.expanduser(argument))  # noqa: PTH111, PTH118
        found += map(Path, sorted(glob.glob(pattern)))  # noqa: PTH207 - it may be absolute
    return [path for path in found if path.is_file()]


def named_hosts(line: Line) -> Iterator[str]:
    """Yield the hosts that a Host or Match line names literally."""
    names = list(line.arguments) if line.keyword == "host" else []
    if line.keyword == "match":
        # As after a keyword, ssh takes one = for a blank.
        words = [part for word in line.arguments for part in word.split("=", 1) if part]
        for criterion, value in itertools.pairwise(words):
            if criterion.lower() in ("host", "originalhost"):
                names += value.split(",")
    return (name for name in names if _NAMED_HOST.fullmatch(name))
