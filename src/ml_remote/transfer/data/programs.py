"""rsync and sftp, as they copy the files of a plan: which of them, with which options.

Each is given the list of files as a file of its own. None of them chooses what is copied.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from ... import processes
from ...kept_output import bytes_of, kept_file
from ...processes import Result
from ...ssh.client import Client
from ...ssh.ssh_log import SshLog, ssh_log
from ...ui.display import Progress
from ..copying import LONGEST_LINE, program_variables, sftp_quoted
from ..rsync import is_plain, remote_shell, version_in
from .index import Entry, Keep
from .remote_files import RemoteFolder, text_of
from .selection import PARTIAL

__all__ = ["FILES_FAILED", "VANISHED", "Outcome", "Rsync", "Sftp", "choose", "staged_name"]

FILES_FAILED = 23
"""rsync: some files could not be read or written."""
VANISHED = 24
"""rsync: a file went away where it was to be read."""

_FULL = (3, 0, 0)  # openrsync, which macOS has, says that it is like 2.6.9
_TOTAL = (3, 1, 0)  # the first that tells how much of all has come
_HOLES_IN_PLACE = (3, 1, 3)
_KEEPING: dict[Keep, list[str]] = {"existing": ["--ignore-existing"], "newer": ["-u"], "none": []}
_LOOK_EVERY = 0.2  # seconds between two looks at what has come
_FIGURE = re.compile(rb"\s([0-9][0-9.,]*)\s+([0-9]{1,3})%")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a program ended."""

    returncode: int
    errors: str
    of_ssh: str | None = None
    """What ssh itself said, where that is known apart from the others."""


@dataclass(frozen=True, kw_only=True)
class _Program:
    client: Client
    folder: str
    """`data/` on the machine."""

    def why_not(self, name: bytes) -> str:
        """Return why this program cannot copy a file, as the end of a sentence."""
        return ""

    def kept_as(self, entry: Entry) -> str:
        """Return what the machine calls a file that has come in part, without its folder."""
        return staged_name(entry)

    def _connection(self, own: SshLog | None = None) -> list[str]:
        """Return ssh and its options as the client uses them; the program adds the machine.

        It says errors only: a server's greeting would be among them, and be taken for one.
        """
        flags = () if own is None else own.flags
        client = self.client.with_options("BatchMode=yes", "LogLevel=ERROR")
        *ssh, _, _ = client.command(flags=flags)
        return ssh


@dataclass(frozen=True, kw_only=True)
class Rsync(_Program):
    """rsync, of the versions that are on both sides."""

    here: tuple[int, ...]
    there: tuple[int, ...]

    @property
    def keeps_holes(self) -> bool:
        """Whether a file with holes needs no more room than where it comes from."""
        return True

    def kept_as(self, entry: Entry) -> str:
        """Return what the machine calls a file that has come in part, without its folder."""
        return text_of(entry.name).rpartition("/")[2]

    def send(
        self, folder: Path, entries: Iterable[Entry], *, total: int, sparse: bool,
        keep: Keep, progress: Progress | None,
    ) -> Outcome:  # fmt: skip
        """Copy files from `folder` to the machine: each takes its place when it is complete.

        `keep` says what stays that is there by then, as it was written meanwhile.
        """
        options = [f"--partial-dir={PARTIAL}", "-T", PARTIAL]
        options += _KEEPING[keep] if min(self.here, self.there) >= _FULL else []
        options += ["-S"] if sparse else []
        ends = ["./", f"{self.client.alias}:{self.folder}/"]
        return self._run(folder, entries, options, ends, total, progress)

    def bring(
        self, folder: Path, entries: Iterable[Entry], *, total: int, sparse: bool,
        progress: Progress | None,
    ) -> Outcome:  # fmt: skip
        """Copy files from the machine into `folder`, which is two below `data/` here.

        In place, so that what has come stays even when rsync itself is killed.
        """
        options = ["--inplace", "--compare-dest=../.."]
        options += ["-S"] if sparse and self.here >= _HOLES_IN_PLACE else []
        ends = [f"{self.client.alias}:{self.folder}/", "./"]
        return self._run(folder, entries, options, ends, total, progress)

    def _run(
        self,
        folder: Path,
        entries: Iterable[Entry],
        options: list[str],
        ends: list[str],
        total: int,
        progress: Progress | None,
    ) -> Outcome:
        has_total = self.here >= _TOTAL
        # With the dot, no name looks like a remark, which rsync leaves out.
        lines = (f"./{text_of(one.name)}\0" for one in entries)
        with ssh_log(self.client.proxy_error) as own, _list_of(lines) as names:
            command = [
                "rsync", "-t", "-I", "-0", "--no-implied-dirs",
                f"--files-from={names}", *(["-s"] if min(self.here, self.there) >= _FULL else []),
                *options, "--info=progress2" if has_total else "--progress",
                "-e", remote_shell(self._connection(own)), *ends,
            ]  # fmt: skip
            told = _Figures(total, progress, adds=not has_total)
            done = _run(command, folder, told.take)
            result = Result(returncode=done.returncode, stdout="", stderr=done.errors)
            through = own.through(result)
            return Outcome(returncode=done.returncode, errors=through.stderr, of_ssh=through.of_ssh)


@dataclass(frozen=True, kw_only=True)
class Sftp(_Program):
    """sftp, which continues at the end of a partial file, so that must be of the same file."""

    @property
    def keeps_holes(self) -> bool:
        """Whether a file with holes needs no more room than where it comes from."""
        return False

    def why_not(self, name: bytes) -> str:
        """Return why sftp cannot copy a file, as the end of a sentence."""
        path = self.folder + text_of(name)
        if re.search(r"[\n\r\0]", path):
            return "only rsync can copy names with line breaks, and it is not on both sides"
        if len(os.fsencode(sftp_quoted(path))) > LONGEST_LINE:
            return "only rsync can copy such long names, and it is not on both sides"
        return ""

    def send(
        self, folder: Path, entries: Callable[[], Iterator[Entry]], partial: dict[str, int], *,
        total: int, progress: Progress | None,
    ) -> Outcome:  # fmt: skip
        """Copy files to below PARTIAL on the machine, where `partial` is what has come before."""

        def missing() -> Iterator[Entry]:
            return (
                one
                for one in entries()
                if not one.size or partial.get(staged_name(one)) != one.size
            )

        def orders() -> Iterator[str]:
            for one in missing():
                staged = staged_name(one)
                how = "-ap" if 0 < partial.get(staged, 0) < one.size else "-p"
                yield f"-put {how} {_dotted(one.name)} {PARTIAL}/{staged}\n"

        counting = _Counting((one.size for one in missing()), total, progress)
        with self._batch(orders()) as command:
            return _run(command, folder, counting.take)

    def put(self, folder: Path, entries: Iterable[Entry], folders: Iterable[bytes]) -> Outcome:
        """Move files that are complete on the machine to their places; make these folders first."""

        def orders() -> Iterator[str]:
            for above in folders:
                yield f"-mkdir {_dotted(above)}\n"
            for one in entries:
                yield f"-rename {PARTIAL}/{staged_name(one)} {_dotted(one.name)}\n"

        with self._batch(orders()) as command:
            return _run(command, folder, lambda _: None)

    def bring(
        self, folder: Path, entries: Callable[[], Iterator[Entry]], *, total: int,
        progress: Progress | None,
    ) -> Outcome:  # fmt: skip
        """Copy files from the machine into `folder`, under other names."""
        looking = _Looking(
            ((folder / staged_name(one), one.size) for one in entries()), total, progress
        )
        orders = (f"-get -a {_dotted(one.name)} {staged_name(one)}\n" for one in entries())
        with (
            self._batch(orders) as command,
            processes.running(
                command, input="", variables=program_variables(), folder=folder, discard_output=True
            ) as program,
        ):
            while not program.ends_within(_LOOK_EVERY):
                looking.look()
            return Outcome(returncode=program.wait(), errors=program.errors())

    @contextmanager
    def _batch(self, orders: Iterable[str]) -> Iterator[list[str]]:
        """Yield the command that carries out these orders in `data/` on the machine."""
        _, *options = self._connection()
        with _list_of(chain([f"cd {sftp_quoted(self.folder)}\n"], orders)) as batch:
            yield ["sftp", "-q", *options, "-b", str(batch), self.client.alias]


def choose(client: Client, there: RemoteFolder) -> Rsync | Sftp:
    """Return the program for what both sides have: rsync, also that of macOS, else sftp."""
    here, far = _rsync_here(), version_in(there.facts.get("rsync", ""))
    program = Rsync(client=client, folder=there.folder, here=here, there=far)
    # An older one has the path read by the login shell there, and splits ssh's options at blanks.
    words = [there.folder, tempfile.gettempdir(), *program._connection()]
    if here and far and (all(map(is_plain, words)) or min(here, far) >= _FULL):
        return program
    return Sftp(client=client, folder=there.folder)


def staged_name(entry: Entry) -> str:
    """Return the name under which sftp keeps a file until it is complete: that of this version."""
    identity = f"{entry.size} {entry.ns} ".encode() + entry.name
    return hashlib.sha256(identity).hexdigest()[:40]


@cache
def _rsync_here() -> tuple[int, ...]:
    if shutil.which("rsync") is None:
        return ()
    return version_in(processes.run(["rsync", "--version"]).stdout)


def _dotted(name: bytes) -> str:
    return sftp_quoted(f"./{text_of(name)}")


@contextmanager
def _list_of(lines: Iterable[str]) -> Iterator[Path]:
    """Yield a file that holds these lines."""
    with kept_file() as path:
        with path.open("wb") as file:
            file.writelines(map(bytes_of, lines))
        yield path


def _run(command: list[str], folder: Path, take: Callable[[bytes], None]) -> Outcome:
    with processes.running(
        command, input="", variables=program_variables(), folder=folder
    ) as program:
        for piece in program.pieces():
            take(piece)
        code = program.wait()
        return Outcome(returncode=code, errors=program.errors())


class _Figures:
    """Reads from rsync's output how much was copied."""

    def __init__(self, total: int, progress: Progress | None, *, adds: bool) -> None:
        self._total, self._progress, self._adds = total, progress, adds
        self._before = 0

    def take(self, piece: bytes) -> None:
        if self._progress is None:
            return
        done = 0
        for figure, percent in _FIGURE.findall(piece):
            done = int(re.sub(rb"[.,]", b"", figure))
            if self._adds and percent == b"100":
                self._before, done = self._before + done, 0
        if done or self._before:
            self._progress(min(self._before + done, self._total), self._total)


class _Counting:
    """Reads from sftp's output which file it copies; those before it are complete."""

    def __init__(self, sizes: Iterator[int], total: int, progress: Progress | None) -> None:
        self._sizes, self._total, self._progress = sizes, total, progress
        self._done = self._current = 0

    def take(self, piece: bytes) -> None:
        if self._progress is None:
            return
        for _ in range(piece.count(b"sftp> -")):
            self._done += self._current
            self._current = next(self._sizes, 0)
        self._progress(min(self._done, self._total), self._total)


class _Looking:
    """Measures in a folder how much was copied of files that are sent one after the other."""

    def __init__(
        self, files: Iterator[tuple[Path, int]], total: int, progress: Progress | None
    ) -> None:
        self._files, self._total, self._progress = files, total, progress
        self._done = 0
        self._current, self._next = next(files, None), next(files, None)

    def look(self) -> None:
        """Report the file that is being copied, and those that were copied since."""
        if self._progress is None:
            return
        while self._current is not None and self._next is not None and self._next[0].exists():
            self._done += self._current[1]
            self._current, self._next = self._next, next(self._files, None)
        coming = 0
        if self._current is not None:
            with suppress(OSError):
                coming = self._current[0].stat().st_size
        self._progress(min(self._done + coming, self._total), self._total)
