"""The log of one ssh connection: its own messages, apart from what else is on standard error.

Banners, jump hosts, programs of a ProxyCommand and the command on the machine all write there, and
a line of theirs can look like one of ssh's. So ssh writes its own messages into a file (`-E`).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..far.exit_codes import ExitCode
from ..kept_output import text_of
from ..processes import Result
from .messages import NOISE
from .proxy_errors import is_proxy_error

__all__ = ["SshLog", "ThroughSsh", "ssh_log"]

# What ssh says apart from its messages: at the end of a session, and about its own arguments.
_ASIDE = re.compile(
    r"Connection to \S+ closed by remote host\.|Read from remote host \S+: .*|"
    r"command-line:? line \d+: .*"
)


# What git and rsync say after it.
_AFTERWARDS = re.compile(
    r"(?:fatal|error|send-pack|fetch-pack|rsync)\b.*(?:hung up|unexpected|early EOF|code \d+)\b.*|"
    r"fatal: (?:index-pack|unpack-objects|fetch-pack)\b.*|\s*"
)


@dataclass(frozen=True, kw_only=True)
class ThroughSsh(Result):
    """What came of a program that works through ssh, such as git or rsync."""

    of_ssh: str
    """What ssh itself said, if it failed."""


class SshLog:
    """The file of one connection."""

    def __init__(self, file: Path, of_the_way: Callable[[], str | None]) -> None:
        self._file = file
        self._of_the_way = of_the_way

    @property
    def flags(self) -> tuple[str, ...]:
        """The arguments of ssh that have it write there."""
        return ("-E", str(self._file))

    @property
    def without_file(self) -> tuple[str, ...]:
        """The options for a program that cannot pass that on: banners are not shown then."""
        return ("LogLevel=ERROR",)

    def read(self) -> str:
        """Return what ssh has said so far."""
        return text_of(self._file) if self._file.exists() else ""

    def reason(self, stderr: str) -> str:
        """Return what ssh said of its failure, given what was written to standard error."""
        if not self._file.exists():
            return stderr
        own = self.read()
        if not any(line.strip() and not NOISE.match(line) for line in own.splitlines()):
            return _aside(stderr)
        if not is_proxy_error(own):
            return own
        before = self._of_the_way()
        return f"{stderr if before is None else before}\n{own}"

    def said(self, stderr: str, returncode: int) -> str:
        """Return what tells why ssh, or what it ran, has failed."""
        return (self.reason(stderr) if returncode == ExitCode.SSH else stderr).strip()

    def through(self, done: Result) -> ThroughSsh:
        """Return what came of a program that used this connection, or one without a file."""
        if not self._file.exists():
            return ThroughSsh(**vars(done), of_ssh=done.stderr)
        said = f"{done.stderr.rstrip()}\n{self.read()}"
        return ThroughSsh(**{**vars(done), "stderr": said}, of_ssh=self.reason(done.stderr))


def _aside(stderr: str) -> str:
    """Return what ssh says apart from its messages: last, or before what a program says of it."""
    lines = stderr.splitlines()
    while lines and _AFTERWARDS.fullmatch(lines[-1]):
        del lines[-1]
    return lines[-1] if lines and _ASIDE.fullmatch(lines[-1]) else ""


@contextmanager
def ssh_log(of_the_way: Callable[[], str | None]) -> Iterator[SshLog]:
    """Yield the file for one connection; a shared one that stays open does not keep it.

    `of_the_way` tells what an ssh on the way there says of its failure, see proxy_errors.py.
    """
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
        yield SshLog(Path(folder) / "ssh", of_the_way)
