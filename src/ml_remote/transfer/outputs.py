"""What is below `outputs/` on the machine.

Names travel as bytes, separated by NUL, and are here as Python has the names of files: bytes that
are not UTF-8 become lone surrogates, and the same bytes again when they are written.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .. import answers, processes
from ..errors import UnreachableError
from ..machine import Machine
from ..processes import Result
from ..scripts import ExitCode, check, script
from ..ssh.client import SCRIPT_BEGINS, SCRIPT_COMMAND, script_input
from ..ssh.explaining import recognise
from ..ssh.ssh_log import ssh_log
from ..ssh.waiting import told_of_waiting
from .results import folded

__all__ = [
    "INCOMING",
    "LeftOut",
    "Listing",
    "Looked",
    "RemoteFile",
    "distinct",
    "list_outputs",
    "look_and_list",
    "sums_there",
    "why_unusable",
]

INCOMING = ".incoming"
"""The folder in `outputs/` here that holds what has come in part."""

_BLOCK = 512  # bytes
_LONGEST = 255  # bytes of one part of a path
_TIMEOUT = 600.0  # seconds
_SUMS_AT_ONCE = 500
_SETTLED = 2  # seconds after which a file counts as written
_ALIKE = "the disk here does not tell their names from others that differ only in capitals"
_STATE = re.compile(rb"([0-9]{1,18}) (-?[0-9]{1,11})(?:\.[0-9]*)? ([0-9]{1,18}|-)")
_LOOKED = re.compile(rb"\n== lab looked ([0-9]{1,3}) ==\n")
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file below `outputs/` on the machine."""

    name: str
    """Relative to `outputs/`, with slashes."""
    size: int
    """In bytes."""
    time: int
    """When it was changed last, in seconds since 1970."""
    held: int
    """Bytes that it takes on the disk there; a file with holes takes less than its size."""
    is_settled: bool = True
    """Whether it is old enough, and of no run that continues: else it may yet be written."""

    @property
    def run(self) -> str:
        """The folder of the run that it belongs to, `<lab>/<run id>`; empty if it is in none."""
        return "/".join(self.name.split("/")[:2]) if self.name.count("/") > 1 else ""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A file that is not fetched, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What is below `outputs/` on the machine."""

    folder: str
    """The absolute path of `outputs/` there; empty where there is none."""
    files: tuple[RemoteFile, ...]
    left_out: tuple[LeftOut, ...]
    rsync: str
    """What rsync says of its version there; empty where there is none."""
    running: frozenset[str]
    """The ids of the jobs that are not over."""


def list_outputs(machine: Machine, *, only: str = "") -> Listing:
    """Return what is below `outputs/` there, or below `outputs/<only>`.

    Raises MissingFolderError when the project is not on the machine, LabError.
    """
    return _parse(machine, _ask(machine, "list-outputs", only))


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What one session found in the project's folder on the machine."""

    repository: Result
    """What read-repository has printed."""
    returncode: int
    printed: bytes
    said: str
    """What came of list-outputs."""
    machine: Machine

    def listing(self) -> Listing:
        """Return what is below `outputs/` there. Raises LabError where it was not listed."""
        check(self.returncode, self.said, machine=self.machine)
        return _parse(self.machine, self.printed)


def look_and_list(machine: Machine, *, branch: str) -> Looked | None:
    """Read the machine's repository and list `outputs/`, in one session; None if that failed.

    Raises UnreachableError where the machine does not answer.
    """
    machine.client.get_ready()
    text = script_input(script("repository-and-outputs"), machine.folder, branch)
    code, printed, said = _run(machine, text)
    if code == ExitCode.SSH:
        known = recognise(said, alias=machine.alias)
        if type(known) is UnreachableError:
            raise known
    found = _LOOKED.search(printed)
    if found is None:
        return None
    first, _, second = said.partition("\n== lab looked ==\n")
    repository = Result(
        returncode=int(found[1]),
        stdout=printed[: found.start()].decode(errors="replace"),
        stderr=first,
    )
    return Looked(
        repository=repository,
        returncode=code,
        printed=printed[found.end() :],
        said=second,
        machine=machine,
    )


def _parse(machine: Machine, printed: bytes) -> Listing:
    words = iter(printed.split(b"\0"))
    facts = {"rsync": "", "now": "0", "folder": ""}
    running, left_out, described = set[str](), [], []
    for word in words:
        kind, _, text = word.partition(b" ")
        match kind:
            case b"rsync" | b"now" | b"folder":
                facts[kind.decode()] = _text(text)
            case b"running":
                running.add(_text(text))
            case b"unreadable":
                left_out.append((next(words, b""), "you cannot read them there"))
            case b"link":
                left_out += [(name, "they are symbolic links") for name in _names(words)]
            case b"special":
                left_out += [(name, "they are not ordinary files") for name in _names(words)]
            case b"files":
                names = _names(words)
                described += list(zip(names, next(words, b"").split(b"\n"), strict=False))
    unreadable = {name for name, _ in left_out}
    now = int(facts["now"]) if re.fullmatch("[0-9]{1,15}", facts["now"]) else 0
    files = []
    for raw, state in described:
        found = _STATE.fullmatch(state)
        if found is None or raw in unreadable:
            continue  # it went away meanwhile, or is named already
        name = _text(raw).removeprefix("./")
        reason = why_unusable(name)
        if reason:
            left_out.append((raw, reason))
            continue
        size, time = int(found[1]), int(found[2])
        held = size if found[3] == b"-" else int(found[3]) * _BLOCK
        settled = time < now - _SETTLED and running.isdisjoint(name.split("/")[:-1])
        files.append(RemoteFile(name=name, size=size, time=time, held=held, is_settled=settled))
    return Listing(
        folder=answers.folder(facts["folder"], asked=f"{machine.folder}/outputs") if files else "",
        files=tuple(sorted(files, key=lambda file: file.name)),
        left_out=tuple(
            LeftOut(name=_text(name).removeprefix("./"), reason=reason) for name, reason in left_out
        ),
        rsync=facts["rsync"],
        running=frozenset(running),
    )


def distinct(
    files: Sequence[RemoteFile], is_known: Callable[[str], bool]
) -> tuple[list[RemoteFile], list[LeftOut]]:
    """Return the files that can be together on a disk that ignores capitals, and the others.

    Of two that cannot, the one that is known comes first.
    """
    written: dict[str, str] = {}
    fine, others = [], []
    for file in sorted(files, key=lambda file: (not is_known(file.name), file.name)):
        paths = accumulate(file.name.split("/"), "{}/{}".format)
        if all(written.setdefault(folded(path), path) == path for path in paths):
            fine.append(file)
        else:
            others.append(LeftOut(name=file.name, reason=_ALIKE))
    return sorted(fine, key=lambda file: file.name), others


def sums_there(machine: Machine, files: Sequence[tuple[str, int]]) -> list[str]:
    """Return the SHA-256 of the first bytes of each file there, given its name and how many.

    Where the machine cannot tell, the sums are empty, and equal to none.
    """
    sums: list[str] = []
    for start in range(0, len(files), _SUMS_AT_ONCE):
        some = files[start : start + _SUMS_AT_ONCE]
        words = [word for name, size in some for word in (str(size), name)]
        said = _ask(machine, "output-sums", *words).decode(errors="replace")
        found = re.findall(r"^\\?([0-9a-f]{64})\b", said, re.MULTILINE)
        sums += found if len(found) == len(some) else [""] * len(some)
    return sums


def _ask(machine: Machine, name: str, *arguments: str) -> bytes:
    """Run a script in the project's folder on the machine and return the bytes that it printed.

    Raises LabError when it fails.
    """
    text = script_input(script(name), machine.folder, *arguments)
    returncode, printed, said = _run(machine, text)
    check(returncode, said, machine=machine)
    return printed


def _run(machine: Machine, text: str) -> tuple[int, bytes, str]:
    """Run a script on the machine; return its exit code, the bytes it printed, and what it said."""
    client = machine.client.with_options("BatchMode=yes")
    with (
        ssh_log(client.proxy_error) as own,
        processes.running(client.command(*SCRIPT_COMMAND, flags=own.flags), input=text) as program,
        told_of_waiting(client, answered=lambda: program.has_printed),
    ):
        timer = threading.Timer(_TIMEOUT, program.kill)
        timer.start()
        try:
            output = bytearray()
            for piece in program.pieces():
                output += piece
                if len(output) > processes.MOST_OUTPUT:
                    program.end_as_too_much()
                    break
            returncode = program.wait()
        finally:
            timer.cancel()
        said = own.said(program.errors(), returncode)
    return returncode, bytes(output.partition(SCRIPT_BEGINS.encode())[2]), said


def _names(words: Iterator[bytes]) -> list[bytes]:
    """Return the words up to an empty one."""
    names = []
    while name := next(words, b""):
        names.append(name)
    return names


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def why_unusable(name: str, *, place: str = "outputs/") -> str:
    """Return why a file of that name cannot be here, as the end of a sentence; empty if it can."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return f"their names lead out of {place}"
    if parts[0] == INCOMING and place == "outputs/":
        return f"outputs/{INCOMING} is for incomplete files"
    if any(len(os.fsencode(part)) > _LONGEST for part in parts):
        return "their names are too long"
    if os.name == "nt" and any(
        re.search(r'[\\:<>"|?*\x00-\x1f\ud800-\udfff]|[. ]$', part) or _RESERVED.fullmatch(part)
        for part in parts
    ):
        return "Windows has no such names"
    return ""
