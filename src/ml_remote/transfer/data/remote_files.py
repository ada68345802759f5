"""What is in `data/` on the machine. Its words end with NUL: names may hold anything else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ... import answers, processes
from ...errors import RemoteCommandError, UnreachableError
from ...machine import Machine
from ...processes import Result
from ...scripts import check, script
from ...ssh.client import SCRIPT_BEGINS, SCRIPT_COMMAND, script_input
from ...ssh.not_run import command_not_run
from ...ssh.waiting import told_of_waiting
from ...ui.text import in_one_line
from ..outputs import why_unusable
from .index import LAST, Entry, Index
from .selection import PARTIAL, Selection

__all__ = ["RemoteFolder", "list_remote", "remove_on_machine", "same_on_machine", "text_of"]

_BLOCK = 512  # bytes
_TO_BEGIN = 60.0  # seconds for a login
_TIMEOUT = 3600.0  # seconds for all
_MOST = 2**30  # bytes of a listing
_LONGEST_WORD = 2**22  # bytes
_SHOWN = 200  # characters of what find says
_AT_ONCE = 500  # files named in one script
_STATE = re.compile(rb"([0-9]{1,18}) (-?[0-9]{1,11})(?:\.[0-9]*)? ([0-9]{1,18}|-)")
_ONE = re.compile(rb"([a-zA-Z]) " + _STATE.pattern + rb" (?:\./)?(.+)", re.DOTALL)


@dataclass(kw_only=True)
class RemoteFolder:
    """The machine's report of the folder."""

    facts: dict[str, str] = field(default_factory=dict)
    partial: dict[str, int] = field(default_factory=dict)
    """What has come in part: its name in the folder of such files, and how many bytes."""
    unusable: list[tuple[str, str]] = field(default_factory=list)
    """Names that cannot be here, and why."""
    folder: str = ""
    """The absolute path of `data/` there; empty where there is none."""

    @property
    def state(self) -> str:
        """What `data` is: see data-folder.sh."""
        return self.facts.get("state", "none")

    @property
    def free(self) -> int | None:
        """How many bytes are free on its disk, if that is known."""
        said = self.facts.get("free", "")
        return int(said) * 1024 if re.fullmatch("[0-9]{1,15}", said) else None

    @property
    def is_writable(self) -> bool:
        """Whether files can be put there."""
        return self.facts.get("writing") == "yes"


def list_remote(
    machine: Machine, index: Index, selection: Selection, *, way: str, folder: str
) -> RemoteFolder:
    """Take in what is in `data/` on the machine, as far as it is selected.

    `way` and `folder` are those of data-folder.sh. Raises MissingFolderError, LabError; also when
    the list is not complete: what is missing in it would be taken for deleted.
    """
    there = RemoteFolder()
    words = _words(machine, "list-data", way, folder, *selection.paths)
    index.take("there", _entries(words, selection, there))
    if said := there.facts.get("folder"):
        asked = folder or f"{machine.folder}/data"
        there.folder = answers.folder(said, asked=asked)
    if wrong := in_one_line(there.facts.get("wrong", "")[:_SHOWN]):
        raise RemoteCommandError(
            f"Not all files of {there.folder} on {machine.alias} can be listed ({wrong}), so lab "
            "cannot tell what differs. Nothing was done.",
            hint="Check that this folder and its disk can be read there, then run the command "
            "again",
            quoted=(wrong,),
        )
    return there


def same_on_machine(machine: Machine, names: Sequence[bytes], sums: Iterable[str]) -> list[bytes]:
    """Return which of these files have these SHA-256 on the machine, too."""
    same, expected = [], iter(sums)
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        output = b"".join(_pieces(machine, "sums-data", map(text_of, some), fails=True))
        found = re.findall(rb"^\\?([0-9a-f]{64})\b", output, re.MULTILINE)
        told = [sum_.decode() for sum_ in found] if len(found) == len(some) else [""] * len(some)
        same += [
            name
            for name, one, other in zip(some, told, expected, strict=False)
            if one and one == other
        ]
    return same


def remove_on_machine(machine: Machine, entries: Sequence[Entry]) -> list[str]:
    """Remove files on the machine; return those that stayed, as they have changed since."""
    left: list[str] = []
    for start in range(0, len(entries), _AT_ONCE):
        words: list[str] = []
        for one in entries[start : start + _AT_ONCE]:
            words += [str(one.size), str(one.ns // 10**9), text_of(one.name)]
        output = b"".join(_pieces(machine, "remove-data", words))
        left += [text_of(name) for name in output.split(b"\0")[:-1]]
    return left


def text_of(name: bytes) -> str:
    """Return a name as Python has the names of files."""
    return name.decode(errors="surrogateescape")


def _entries(words: Iterator[bytes], selection: Selection, there: RemoteFolder) -> Iterator[Entry]:
    for word in words:
        found = _ONE.fullmatch(word)
        if found is None:
            fact, _, text = word.partition(b" ")
            if fact == b"files":
                yield from _batch(words, selection, there)
            elif fact in (b"rsync", b"state", b"folder", b"free", b"writing", b"wrong"):
                there.facts.setdefault(fact.decode(), text_of(text))
            continue
        kind, name = found[1].decode(), found[5]
        target = next(words, b"") if kind == "l" else b""
        yield from _entry(kind, name, found.group(2, 3, 4), target, selection, there)


def _batch(words: Iterator[bytes], selection: Selection, there: RemoteFolder) -> Iterator[Entry]:
    """Yield the files of a machine whose find cannot describe them."""
    names = []
    while name := next(words, b""):
        names.append(name)
    for name, line in zip(names, next(words, b"").split(b"\n"), strict=False):
        state = _STATE.fullmatch(line)
        if state is not None:
            name = name.removeprefix(b"./")
            yield from _entry("f", name, state.group(1, 2, 3), b"", selection, there)


def _entry(
    kind: str,
    raw: bytes,
    state: Sequence[bytes],
    target: bytes,
    selection: Selection,
    there: RemoteFolder,
) -> Iterator[Entry]:
    name = text_of(raw)
    size, time = int(state[0]), int(state[1])
    held = size if state[2] == b"-" else min(size, int(state[2]) * _BLOCK)
    if abs(time) > LAST:
        kind, time = "t" if kind == "f" else kind, 0
    above, _, leaf = name.rpartition("/")
    if kind == "f" and PARTIAL in above.split("/"):
        there.partial[leaf] = size
    elif kind == "d":
        if name != "." and selection.enters(name):
            yield Entry(name=raw, kind="d")
    elif selection.takes(name) or (kind != "f" and selection.enters(name)):
        if reason := why_unusable(name, place="data/"):
            there.unusable.append((name, reason))
            return
        yield Entry(name=raw, kind=kind, size=size, ns=time * 10**9, held=held, target=target)


def _words(machine: Machine, name: str, *arguments: str) -> Iterator[bytes]:
    """Yield the words that a script prints, each of which ends with NUL."""
    rest = b""
    for piece in _pieces(machine, name, arguments):
        *words, rest = (rest + piece).split(b"\0")
        if len(rest) > _LONGEST_WORD:
            raise answers.unusable("list of files", rest[:80].decode(errors="replace"))
        yield from words


def _pieces(
    machine: Machine, name: str, arguments: Iterable[str], *, fails: bool = False
) -> Iterator[bytes]:
    """Run a script in the project's folder there and yield what it prints, as it comes.

    Raises LabError when it fails, unless it `fails` for a reason of no interest, and when the
    machine is silent for too long.
    """
    client = machine.client.with_options("BatchMode=yes")
    text = script_input(script(name), machine.folder, *arguments)
    begins, before, total = SCRIPT_BEGINS.encode(), b"", 0
    has_begun = False
    with (
        processes.running(client.command(*SCRIPT_COMMAND), input=text) as program,
        told_of_waiting(client, answered=lambda: program.has_printed),
    ):
        patience = _Patience(program)
        try:
            for piece in program.pieces():
                total += len(piece)
                if total > _MOST or (not has_begun and total > _LONGEST_WORD):
                    program.end_as_too_much()
                    break
                if has_begun:
                    yield piece
                    continue
                before += piece
                _, mark, piece = before.partition(begins)
                if mark:
                    has_begun = True
                    patience.end()
                    patience.wait(_TIMEOUT)
                    yield piece
            returncode = program.wait()
        finally:
            patience.end()
        said = program.errors().strip()
    if patience.is_over:
        raise UnreachableError(
            f"{machine.alias} did not list the files of data/ in time.",
            hint="To find the cause: lab doctor",
        )
    if not (fails and 0 < returncode < 100):
        check(returncode, said, machine=machine)
    if not has_begun:
        output = before.decode(errors="replace")
        raise command_not_run(client, Result(returncode=returncode, stdout=output, stderr=said))


class _Patience:
    """Ends a program that takes too long, above all to start."""

    def __init__(self, program: processes.Running) -> None:
        self._program = program
        self.is_over = False
        """Whether it was ended."""
        self.wait(_TO_BEGIN)

    def wait(self, seconds: float) -> None:
        """Leave it so much time from now on."""
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Leave the program alone."""
        self._timer.cancel()

    def _end(self) -> None:
        self.is_over = True
        self._program.kill()
