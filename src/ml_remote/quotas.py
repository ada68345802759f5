"""Quotas on the machine, by what `quota`, `lfs quota` (Lustre) and `mmlsquota` (GPFS) print.

All of them print KiB. What they print is data of the machine: numbers and names are taken, and the
rest is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .answers import FOLDER, USER, is_a
from .errors import RemoteCommandError
from .machine import Machine
from .ui.text import in_one_line
from .ui.words import in_gib

__all__ = ["Quota", "advice", "exceeded_in", "is_short", "parse_quotas", "quota_error", "sizes_in"]

_FULL = 0.9  # of a limit; what takes the room is looked for then
_KINDS = {"user": "user", "usr": "user", "group": "group", "grp": "group"}
_OF_GPFS = {"USR": "user", "GRP": "group", "FILESET": "fileset"}
_HEADING = re.compile(r"Disk quotas for (user|usr|group|grp) (\S+) \(")
_NUMBERS = r"(\d{1,15})\*?\s+(\d{1,15})\s+(\d{1,15})"
_ROW = re.compile(rf"\s*(\S+)\s+{_NUMBERS}\s+(?:(?:\S*[a-z:]\S*|-)\s+)?{_NUMBERS}(?:\s|$)")
_ROW_OF_GPFS = re.compile(
    r"\s*(\S+)\s+(?:(\S+)\s+)?(USR|GRP|FILESET)\s+(\d{1,15})\s+(\d{1,15})\s+(\d{1,15})\s+\d+\s+"
    rf"[^|]*\|\s*{_NUMBERS}"
)
_EXCEEDED = re.compile(r"(?i)disk quota exceeded|Errno 122\b|os error 122\b")
_ELSEWHERE = (
    (".vscode-server", "a setting of VS Code: remote.SSH.serverInstallPath"),
    (".cursor-server", "a setting of Cursor: remote.SSH.serverInstallPath"),
    (".cache", "cache in [environment]"),
    ("pkgs", "cache in [environment]"),
    ("uv", "cache in [environment]"),
    (".lab/cache", "cache in [environment]"),
    (".lab/envs", "folder in [environment]"),
    ("data", "folder in [data]"),
    ("outputs", "lab runs --remove"),
    (".lab/wheels", "it is not needed after a setup"),
)
"""What could be elsewhere, by the end of its name, and how."""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A quota and how much of it is used; sizes are in KiB, 0 means no limit."""

    place: str
    """The file system, as its program names it."""
    kind: str
    """`user`, `group` or `fileset`."""
    name: str
    """Whose it is."""
    used: int
    limit: int
    files: int
    files_limit: int

    @property
    def share(self) -> float:
        """How much of it is used, of files or of room, whichever is more."""
        pairs = ((self.used, self.limit), (self.files, self.files_limit))
        return max((used / limit for used, limit in pairs if limit), default=0.0)

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be written."""
        return self.share >= 1

    def leaves_less_than(self, gibibytes: float) -> bool:
        """Return whether there is less room left."""
        return bool(self.limit) and self.limit - self.used < gibibytes * 1024**2

    def __str__(self) -> str:
        parts = [f"{in_gib(self.used)} of {in_gib(self.limit)} GiB"] if self.limit else []
        if self.files_limit:
            parts.append(f"{self.files:,} of {self.files_limit:,} files")
        whose = self.name if self.kind == "user" else f"{self.kind} {self.name}"
        return f"{whose}: {', '.join(parts)} ({self.place})"


def parse_quotas(output: str, *, unlimited: bool = False) -> list[Quota]:
    """Return the quotas in what quota.sh printed; other lines are left.

    Rows without a limit are there if `unlimited`.
    One that several programs tell, or that is told for two folders, is there once.
    """
    lines = [line.split("\t", 2) for line in output.split("\n")]
    owner = next((line[1:] for line in lines if line[0] == "quota-of" and len(line) == 3), [])
    found: dict[tuple[str, str, str], Quota] = {}
    for tool in ("quota", "lfs", "mmlsquota"):
        said = [line[2] for line in lines if line[:2] == ["quota", tool] and len(line) == 3]
        rows = _of_gpfs(said, owner) if tool == "mmlsquota" else _of_rows(said)
        for one in rows:
            if (unlimited or one.limit or one.files_limit) and one.name:
                found.setdefault((one.place, one.kind, one.name), one)
    return list(found.values())


def _of_rows(lines: Sequence[str]) -> Iterable[Quota]:
    """Yield the quotas of `quota` and `lfs quota`; a long name has a line of its own."""
    kind = name = before = ""
    for line in lines:
        heading = _HEADING.search(line)
        if heading is not None:
            kind, name, before = _KINDS[heading[1]], _shown(heading[2]), ""
            continue
        row = _ROW.match(f"{before} {line}" if line[:1].isspace() and before else line)
        before = line.strip() if len(line.split()) == 1 else ""
        if row is not None:
            place, *numbers = row.groups()
            yield _quota(place, kind, name, [*map(int, numbers)])


def _of_gpfs(lines: Sequence[str], owner: Sequence[str]) -> Iterable[Quota]:
    """Yield the quotas of `mmlsquota`; it does not say whose they are: `owner` asked for theirs."""
    for line in lines:
        row = _ROW_OF_GPFS.match(line)
        if row is None:
            continue
        system, fileset, kind, *numbers = row.groups()
        names = {"USR": owner[:1], "GRP": owner[1:], "FILESET": [fileset or system]}[kind]
        place = f"{system}:{fileset}" if fileset else system
        name = _shown(names[0]) if names else ""
        yield _quota(place, _OF_GPFS[kind], name, [*map(int, numbers)])


def _quota(place: str, kind: str, name: str, numbers: Sequence[int]) -> Quota:
    used, soft, hard, files, files_soft, files_hard = numbers
    return Quota(
        place=in_one_line(place),
        kind=kind,
        name=name,
        used=used,
        limit=hard or soft,
        files=files,
        files_limit=files_hard or files_soft,
    )


def _shown(name: str) -> str:
    return name if is_a(USER, name) else ""


def exceeded_in(lines: Iterable[str]) -> bool:
    """Return whether one of these lines of a program says that a quota is used up."""
    return any(map(_EXCEEDED.search, lines))


def is_short(quotas: Iterable[Quota]) -> bool:
    """Return whether one of them is nearly used up."""
    return any(one.share >= _FULL for one in quotas)


def sizes_in(output: str) -> dict[str, int]:
    """Return how many KiB the folders take that quota.sh has measured, the largest first."""
    lines = [line.split("\t", 2) for line in output.split("\n")]
    found = {
        line[2]: int(line[1])
        for line in lines
        if line[0] == "size" and len(line) == 3 and re.fullmatch("[0-9]{1,15}", line[1])
        if is_a(FOLDER, f"/{line[2].lstrip('/')}")
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def advice(sizes: dict[str, int], *, most: int = 3) -> list[str]:
    """Return what takes most of the room and could be elsewhere, a sentence for each."""
    told = []
    for folder, taken in list(sizes.items())[:most]:
        how = next((how for end, how in _ELSEWHERE if folder.endswith(end)), "")
        if how and taken >= 2**10:
            told.append(f"{in_one_line(folder)} takes {in_gib(taken)} GiB: {how}")
    return told


def quota_error(output: str, machine: Machine) -> RemoteCommandError:
    """Return the error for a quota that is used up, from what no-room.sh printed.

    It says whose, how much of it is used, and what of it could be elsewhere.
    """
    quotas = sorted(parse_quotas(output), key=lambda one: -one.share)
    which = f" {quotas[0]}." if quotas else " No program on the machine reports its size."
    room = "".join(f"\n  {line}" for line in advice(sizes_in(output)))
    return RemoteCommandError(
        f"Nothing can be written to {machine.folder}/.lab on {machine.alias}: a quota is used "
        f"up.{which}" + (f" What could be moved:{room}" if room else ""),
        hint="Free disk space there, or use another disk; lab status shows your quotas",
    )
