"""What is in `data/` here and there, compared, and what was transferred before.

All of it is in a database, so that the memory that this takes does not grow with the number of
files. What is known of earlier transfers stays in `.lab/data/index`: with it, a file that was
changed on one side is told from one that was changed on both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from ..results import folded
from .sql import ADOPT, ALIKE, COMPARE, IN_THE_WAY, ONLY_THERE, SCHEMA

__all__ = ["LAST", "STATES", "Amount", "Entry", "Index", "Keep", "Side"]

Side = Literal["here", "there"]
Keep = Literal["existing", "newer", "none"]

STATES = ("same", "here_only", "there_only", "changed_here", "changed_there", "changed_both")
"""What a file can be; another one is `blocked` if it is something else on one of the sides.

It is `alike` if the disk here confuses it with another one.
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A name in `data/`, as bytes, relative to it."""

    name: bytes
    kind: str
    """`f`, `d`, `l`, `u` (it may not be read), `t` (its time is beyond LAST).

    Anything else is no ordinary file.
    """
    size: int = 0
    ns: int = 0
    """When it was changed last; on the machine in whole seconds."""
    held: int = 0
    """Bytes that it takes on the disk: fewer than its size if it has holes."""
    target: bytes = b""
    """Where a link leads."""


LAST = 2**63 // 10**9 - 1
"""The last time, in seconds since 1970, that the database holds in nanoseconds: in 2262."""


@dataclass(frozen=True, kw_only=True)
class Amount:
    """A number of files, and their size in bytes."""

    files: int = 0
    size: int = 0


class Index:
    """The database of one project; see the module."""

    def __init__(self, path: Path, *, alias: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._alias = self._place = alias
        try:
            self._open(path)
        except sqlite3.OperationalError:  # its disk is full, for instance: told by whoever made it
            raise
        except sqlite3.DatabaseError:  # damaged: what was transferred is then not known any more
            path.replace(path.with_name(f"{path.name}.damaged"))
            self._open(path)

    def _open(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=30)
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        """Close the database."""
        with suppress(sqlite3.Error):
            self._database.close()

    def take(self, side: Side, entries: Iterable[Entry]) -> None:
        """Take in what is on a side, in place of what was known of it in this call."""
        with self._database:
            self._database.execute(f"DELETE FROM {side}")
            self._database.executemany(
                f"INSERT OR REPLACE INTO {side} VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (one.name, one.kind, one.size, one.ns // 10**9, one.ns, one.held, one.target)
                    for one in entries
                ),
            )

    def compare(self, folder: str) -> None:
        """Find out what each file is; `folder` is where the machine has them."""
        self._place = f"{self._alias}:{folder}"
        with self._database:
            self._database.execute(ADOPT, (self._place,))
            self._database.execute("DELETE FROM files")
            self._database.execute(COMPARE, (self._place,))
            self._database.execute(ONLY_THERE)
            for (name,) in self._database.execute(IN_THE_WAY).fetchall():
                self._block(name, "blocked")

    def block_alike(self) -> None:
        """Take out the files that a disk which ignores capitals confuses with one that is here."""
        blocked = set[bytes]()
        self._database.create_function("folded", 1, _folded, deterministic=True)
        rows = self._database.execute(ALIKE).fetchall()
        for _, group in groupby(rows, key=lambda row: row[0]):
            names = [row[1:] for row in group if blocked.isdisjoint(_above(row[1]))]
            # What is here, the disk has told apart.
            for name in [name for name, is_here in names[1:] if not is_here]:
                blocked.add(name)
                with self._database:
                    self._block(name, "alike")

    def _block(self, name: bytes, state: str) -> None:
        """Give what has a name, or is below it, a state in which it is not transferred."""
        self._database.execute(
            "UPDATE files SET state = ? WHERE name = ? OR (name > ? AND name < ?)",
            (state, name, name + b"/", name + b"0"),
        )

    def amount(self, *states: str) -> Amount:
        """Return how many files have one of these states; a changed one counts as it will be."""
        side = "t" if set(states) & {"there_only", "changed_there"} else "h"
        files, size = self._database.execute(
            "SELECT count(*), total(coalesce("
            f"{side}.size, h.size, t.size)) FROM files LEFT JOIN here h USING (name) "
            f"LEFT JOIN there t USING (name) WHERE state IN ({_marks(states)})",
            states,
        ).fetchone()
        return Amount(files=files, size=int(size))

    def names(self, *states: str, most: int = -1) -> Iterator[bytes]:
        """Yield the names of the files that have one of these states, in order."""
        rows = self._database.execute(
            f"SELECT name FROM files WHERE state IN ({_marks(states)}) ORDER BY name LIMIT ?",
            (*states, most),
        )
        return (name for (name,) in rows)

    def set_same(self, names: Iterable[bytes]) -> None:
        """Note that files have the same content on both sides, whatever their times."""
        with self._database:
            self._database.executemany(
                "UPDATE files SET state = 'same' WHERE name = ?", ((name,) for name in names)
            )

    def equal_sizes(self, *states: str) -> list[bytes]:
        """Return the names of files in these states that are as large here as there."""
        rows = self._database.execute(
            "SELECT name FROM files JOIN here h USING (name) JOIN there t USING (name) "
            f"WHERE h.size = t.size AND state IN ({_marks(states)})",
            states,
        )
        return [name for (name,) in rows]

    def plan(self, *states: str) -> None:
        """Plan the transfer of the files in these states."""
        with self._database:
            self._database.execute(
                f"UPDATE files SET planned = state IN ({_marks(states)})", states
            )

    def drop(self, name: bytes) -> None:
        """Take a file out of the plan."""
        self._database.execute("UPDATE files SET planned = 0 WHERE name = ?", (name,))

    def planned(self, side: Side) -> Iterator[Entry]:
        """Yield the files of the plan as they are on the side that they come from."""
        rows = self._database.execute(
            f"SELECT name, kind, size, ns, held FROM files JOIN {side} USING (name) "
            "WHERE planned ORDER BY name"
        )
        return (
            Entry(name=name, kind=kind, size=size, ns=ns, held=held)
            for name, kind, size, ns, held in rows
        )

    def needed(self, source: Side, *, held: bool) -> tuple[Amount, int, bool]:
        """Return how much is planned, the room that it needs, and if any of it has holes.

        With `held` a file with holes takes no more room than on the side that it comes from.
        """
        target = "there" if source == "here" else "here"
        size = "min(s.size, s.held)" if held else "s.size"
        files, total, room, largest, sparse = self._database.execute(
            f"SELECT count(*), total(s.size), total(max(0, {size} - coalesce(t.size, 0))), "
            f"max(CASE WHEN t.name IS NULL THEN 0 ELSE {size} END), "
            "max(s.held + 65536 < s.size) "
            f"FROM files JOIN {source} s USING (name) LEFT JOIN {target} t USING (name) "
            "WHERE planned"
        ).fetchone()
        # One that is replaced is there twice for a moment.
        need = int(room) + (largest or 0)
        return Amount(files=files, size=int(total)), need, bool(sparse)

    def entry(self, side: Side, name: bytes) -> Entry | None:
        """Return what has this name on a side."""
        row = self._database.execute(
            f"SELECT kind, size, ns, held FROM {side} WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            return None
        kind, size, ns, held = row
        return Entry(name=name, kind=kind, size=size, ns=ns, held=held)

    def entries(self, side: Side, state: str) -> Iterator[Entry]:
        """Yield the files in a state, as they are on a side."""
        rows = self._database.execute(
            f"SELECT name, kind, size, ns, held FROM files JOIN {side} USING (name) "
            "WHERE state = ? ORDER BY name",
            (state,),
        )
        return (
            Entry(name=name, kind=kind, size=size, ns=ns, held=held)
            for name, kind, size, ns, held in rows
        )

    def has(self, side: Side, name: bytes) -> bool:
        """Return whether anything of this name is on a side."""
        return self.entry(side, name) is not None

    def has_below(self, side: Side, name: bytes) -> bool:
        """Return whether a side has this name, or anything below it."""
        found = self._database.execute(
            f"SELECT 1 FROM {side} WHERE name = ? OR (name > ? AND name < ?) LIMIT 1",
            (name, name + b"/", name + b"0"),
        ).fetchone()
        return found is not None

    def others(self, side: Side) -> Iterator[tuple[bytes, str, bytes]]:
        """Yield name, kind and target of what is on a side and no file or folder."""
        rows = self._database.execute(
            f"SELECT name, kind, target FROM {side} WHERE kind NOT IN ('f', 'd') ORDER BY name"
        )
        return iter(rows.fetchall())

    def known(self, *states: str) -> int:
        """Return how many files in these states were transferred before."""
        (number,) = self._database.execute(
            "SELECT count(*) FROM files JOIN known USING (name) WHERE place = ? AND state IN "
            f"({_marks(states)})",
            (self._place, *states),
        ).fetchone()
        return int(number)

    def folders(self, side: Side) -> Iterator[bytes]:
        """Yield the folders on a side, a folder before those in it."""
        rows = self._database.execute(f"SELECT name FROM {side} WHERE kind = 'd' ORDER BY name")
        return (name for (name,) in rows)

    def incomplete(self) -> list[bytes]:
        """Return the files of the plan that the machine does not have as they are here."""
        rows = self._database.execute(
            "SELECT name FROM files JOIN here h USING (name) LEFT JOIN there t USING (name) WHERE "
            "planned AND NOT (coalesce(t.kind, '') = 'f' AND t.size = h.size AND t.time = h.time)"
        )
        return [name for (name,) in rows]

    def to_keep(self) -> Keep:
        """Return which files on the machine a transfer of the plan may leave alone safely.

        What it is to replace has an earlier time there, unless it was written meanwhile.
        """
        replaced, earlier = self._database.execute(
            "SELECT count(*), total(h.time < t.time) FROM files JOIN here h USING (name) "
            "JOIN there t USING (name) WHERE planned"
        ).fetchone()
        if not replaced:
            return "existing"
        return "none" if earlier else "newer"

    def note_begun(self) -> None:
        """Write down what is about to be sent: the transfer may be ended at any moment."""
        self.note_ended()
        with self._database:
            self._database.execute(
                "INSERT INTO begun SELECT ?, name, h.size, h.ns, h.time FROM files "
                "JOIN here h USING (name) WHERE planned",
                (self._place,),
            )

    def note_ended(self) -> None:
        """Forget that anything was begun: what has come of it is known."""
        with self._database:
            self._database.execute("DELETE FROM begun WHERE place = ?", (self._place,))

    def note_there(self) -> None:
        """Note what the files of the plan are on the machine, for `is_as_noted`."""
        with self._database:
            self._database.execute("DROP TABLE IF EXISTS temp.noted")
            self._database.execute(
                "CREATE TEMP TABLE noted AS SELECT name, t.size, t.time FROM files "
                "JOIN there t USING (name) WHERE planned"
            )
            self._database.execute("CREATE UNIQUE INDEX temp.noted_name ON noted (name)")

    def is_as_noted(self, name: bytes) -> bool:
        """Return whether a file is on the machine what it was then, or still missing there."""
        look = "SELECT size, time FROM {} WHERE name = ?"
        before, now = (
            self._database.execute(look.format(table), (name,)).fetchone()
            for table in ("noted", "there")
        )
        return bool(before == now)

    def remember_changed(self, names: Iterable[bytes]) -> None:
        """Write down what was sent of files that changed meanwhile, and take them out of the plan.

        What has their time on the machine is ours; what has not is somebody else's.
        """
        with self._database:
            for name in names:
                self.drop(name)
                self._database.execute(
                    "DELETE FROM known WHERE place = ? AND name = ?", (self._place, name)
                )
                self._database.execute(
                    "INSERT INTO known SELECT ?, name, t.size, h.ns, t.time FROM here h "
                    "JOIN there t USING (name) WHERE name = ? AND t.kind = 'f' "
                    "AND t.time = h.time",
                    (self._place, name),
                )

    def remember_sent(self) -> None:
        """Write down that the files of the plan are there as they are here."""
        self._remember("h.time", "planned")

    def remember_same(self) -> None:
        """Write down the files that are the same on both sides."""
        self._remember("t.time", "state = 'same'")

    def _remember(self, time: str, which: str) -> None:
        with self._database:
            self._database.execute(
                f"INSERT OR REPLACE INTO known SELECT ?, name, h.size, h.ns, {time} FROM files "
                f"JOIN here h USING (name) LEFT JOIN there t USING (name) WHERE {which}",
                (self._place,),
            )

    def remember_brought(self, brought: Iterable[tuple[Entry, int]]) -> None:
        """Write down files as they came from the machine, with their times here in nanoseconds."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)",
                ((self._place, one.name, one.size, ns, one.ns // 10**9) for one, ns in brought),
            )


def _folded(name: bytes) -> str:
    return folded(name.decode(errors="replace"))


def _above(name: bytes) -> Iterator[bytes]:
    """Yield the folders that a name is in."""
    parts = name.split(b"/")
    return (b"/".join(parts[:number]) for number in range(1, len(parts)))


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))
