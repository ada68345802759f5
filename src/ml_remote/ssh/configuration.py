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
    "Source",
    "expanded",
    "home_directory",
    "include_home",
    "included_files",
    "parse",
    "read_sources",
]

BLANKS = " \t\r\n\f"
# What ssh versions read differently inside an Include: such a line is not followed.
OPAQUE = re.compile(rb"[\\'%$]")
NAMED_HOST = re.compile(r"[^*?!\s]+")


@dataclass(frozen=True)
class Line:
    """One line of a configuration.

    `raw` is the line with its ending; `keyword` is in lower case, and empty for a blank line or a
    comment; `arguments` are its unquoted values; `comment` is what follows them from a `#` on.
    """

    raw: bytes
    keyword: str = ""
    arguments: tuple[str, ...] = ()
    comment: str = ""

    @property
    def runs_command(self) -> bool:
        """Return whether ssh may run a command on reading this line, as `Match exec` does.

        Answers yes too often rather than once too seldom: ssh takes quotes in the middle of a word,
        `=` signs before it, and any mixture of cases.
        """
        return self._bare.startswith(b"match") and b"exec" in self._bare

    @property
    def is_opaque_include(self) -> bool:
        """Return whether this is an Include whose files cannot be told with certainty."""
        if not self._bare.startswith(b"include"):
            return False
        return self.keyword != "include" or OPAQUE.search(self.raw) is not None

    @property
    def _bare(self) -> bytes:
        """The line without what ssh skips: quotes, and blanks and `=` before the keyword."""
        return re.sub(rb"[\"'\\]", b"", self.raw).lstrip(b" \t\r\f=").lower()


@dataclass(frozen=True)
class Source:
    """A configuration file that ssh reads: `path` is where, `lines` is what stands in it."""

    path: Path
    lines: tuple[Line, ...]

    def named_hosts(self) -> Iterator[tuple[int, str]]:
        """Yield (line number from 1, name) for each host that Host or Match names literally."""
        for number, line in enumerate(self.lines, start=1):
            if line.keyword == "host":
                names = list(line.arguments)
            elif line.keyword == "match":
                names = _matched_hosts(line.arguments)
            else:
                continue
            for name in names:
                if NAMED_HOST.fullmatch(name):
                    yield number, name


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


def read_sources(config: Path, data: bytes) -> list[Source]:
    """Return the configuration `data` of the file `config`, and each file that it includes, once.

    Files that do not exist or cannot be read are left out, as is what lies behind an opaque
    Include.
    """
    sources = {config: Source(config, parse(data))}
    waiting = [sources[config]]
    while waiting:
        for line in waiting.pop().lines:
            if line.keyword != "include" or line.is_opaque_include:
                continue
            for path in included_files(line):
                if path not in sources and (content := _content(path)) is not None:
                    sources[path] = Source(path, parse(content))
                    waiting.append(sources[path])
    return list(sources.values())


def included_files(line: Line) -> list[Path]:
    """Return the files that an Include line names and that exist, in the order ssh reads them.

    A relative path is meant from `~/.ssh`, whichever file the line stands in.
    """
    found: list[Path] = []
    for argument in line.arguments:
        pattern = _expand_home(argument)
        found += [Path(match) for match in _glob(pattern) if Path(match).is_file()]
    return found


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _glob(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern))  # noqa: PTH207 - absolute patterns are not for Path.glob


def _expand_home(argument: str) -> str:
    home = glob.escape(str(include_home()))
    if argument == "~" or argument.startswith("~/"):
        return home + argument[1:]
    if argument.startswith("~"):
        return os.path.expanduser(argument)  # noqa: PTH111 - a pattern is not a path
    if os.path.isabs(argument):  # noqa: PTH117
        return argument
    return f"{home}/.ssh/{argument}"


def _matched_hosts(arguments: tuple[str, ...]) -> list[str]:
    """Return the patterns that stand after `host` and `originalhost` in a Match line."""
    hosts: list[str] = []
    for criterion, value in itertools.pairwise(arguments):
        if criterion.lower() in ("host", "originalhost"):
            hosts += value.split(",")
    return hosts


def _parse_line(raw: bytes) -> Line:
    text = raw.decode("utf-8", "surrogateescape").strip(BLANKS)
    # ssh skips a stray = before the keyword, and takes one between keyword and value for a blank.
    text = text.lstrip(BLANKS + "=")
    if not text or text.startswith("#"):
        return Line(raw)
    keyword, rest = _split_keyword(text)
    arguments, comment = _split_arguments(rest)
    return Line(raw, keyword.lower(), tuple(arguments), comment)


def _split_keyword(text: str) -> tuple[str, str]:
    """Split a line after its first word, which may stand in quotes."""
    match = re.match(rf'(?:"([^"]*)"?|([^{BLANKS}="]*))[{BLANKS}]*=?[{BLANKS}]*', text)
    assert match is not None  # every part of the pattern may be empty
    return match[1] or match[2] or "", text[match.end() :]


def _split_arguments(text: str) -> tuple[list[str], str]:
    """Return the unquoted arguments, and the comment behind them."""
    arguments: list[str] = []
    position = 0
    word = re.compile(rf'[{BLANKS}]*((?:"[^"]*"?|[^"{BLANKS}])+)')
    while match := word.match(text, position):
        if match[1].startswith("#"):
            return arguments, text[match.start(1) :]
        arguments.append(match[1].replace('"', ""))
        position = match.end()
    return arguments, ""
