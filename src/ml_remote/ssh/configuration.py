"""Reading OpenSSH client configurations as ssh does, without changing a byte of them."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = [
    "Line",
    "count_commands",
    "expanded",
    "home_directory",
    "include_home",
    "included_files",
    "named_hosts",
    "parse",
    "read_sources",
]

BLANKS = " \t\r\n\f"
# ssh skips a stray = before the keyword, and takes one between keyword and value for a blank.
_KEYWORD = re.compile(rf'[{BLANKS}=]*"?([^"={BLANKS}]*)"?[{BLANKS}]*=?')
_WORD = re.compile(rf'(?:"[^"]*"?|[^"{BLANKS}])+')
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
    has_comment: bool = False

    @property
    def bare(self) -> bytes:
        """The line without what ssh skips: quotes, and blanks and `=` before the keyword."""
        return re.sub(rb"[\"'\\]", b"", self.raw).lstrip(b" \t\r\f=").lower()

    @property
    def runs_command(self) -> bool:
        """Whether ssh may run a command on reading this line: rather too often than too seldom."""
        return self.bare.startswith(b"match") and b"exec" in self.bare


@lru_cache(maxsize=64)  # a file is looked at several times on the way from reading to writing
def parse(data: bytes) -> tuple[Line, ...]:
    """Return the lines of a configuration; joined, their `raw` is `data` again."""
    return tuple(_parse_line(raw) for raw in re.findall(rb"[^\n]*\n|[^\n]+", data))


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
    return path.expanduser()


def include_home() -> Path:
    """Return the home directory that `~` and a relative path in an Include are meant from.

    For these alone ssh asks `$HOME` first: it leaves them to glob.
    """
    if os.name == "posix" and "HOME" in os.environ:
        return Path(os.environ["HOME"])
    return home_directory()


def read_sources(config: Path, data: bytes) -> dict[Path, tuple[Line, ...]]:
    """Return the lines of the configuration `data` of the file `config`, and of all it includes.

    Files that do not exist or cannot be read are left out.
    """
    sources = {config: parse(data)}
    waiting = [*sources[config]]
    while waiting:
        for path in included_files(waiting.pop()):
            try:
                found = () if path in sources else parse(path.read_bytes())
            except OSError:
                continue  # ssh itself says what is wrong with it
            sources.setdefault(path, found)
            waiting += found
    return sources


def count_commands(config: Path, data: bytes) -> int:
    """Return how many lines there may run a command on being read; see read_sources."""
    sources = read_sources(config, data).values()
    return sum(line.runs_command for lines in sources for line in lines)


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
        for criterion, value in itertools.pairwise(line.arguments):
            if criterion.lower() in ("host", "originalhost"):
                names += value.split(",")
    return (name for name in names if _NAMED_HOST.fullmatch(name))


def _parse_line(raw: bytes) -> Line:
    text = raw.decode("utf-8", "surrogateescape").strip(BLANKS)
    start = _KEYWORD.match(text)
    if start is None or text.lstrip(BLANKS + "=").startswith("#"):
        return Line(raw)
    words = _WORD.findall(text, start.end())
    end = next((n for n, word in enumerate(words) if word.startswith("#")), len(words))
    arguments = tuple(word.replace('"', "") for word in words[:end])
    return Line(raw, start[1].lower(), arguments, end < len(words))
