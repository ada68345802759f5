"""Which ports of this computer lead to a machine at the moment; `lab status` lists them.

Each command that holds some writes a file into `.lab/forwards/` and holds the lock beside it. The
lock goes with the process, so what a killed one has left behind is recognised and removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..files import try_lock
from ..parsing import parse_json
from ..state import make_state

__all__ = ["OpenPort", "open_ports", "recorded"]

_FOLDER = "forwards"


@dataclass(frozen=True, kw_only=True)
class OpenPort:
    """A port of this computer that leads to a machine."""

    alias: str
    port: int
    to: str
    """Where it leads, as the person has named it: a port, `host:port` or the path of a socket."""


@contextmanager
def recorded(state: Path, ports: Sequence[OpenPort]) -> Iterator[None]:
    """Announce these ports to other commands during the block.

    `state` is the folder of what the tool remembers about the project.
    """
    folder = make_state(state) / _FOLDER
    folder.mkdir(exist_ok=True)
    record, lock = (folder / f"{os.getpid()}.{end}" for end in ("json", "lock"))
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try_lock(descriptor)
        record.write_text(json.dumps([asdict(port) for port in ports]), encoding="utf-8")
        yield
    finally:
        record.unlink(missing_ok=True)
        os.close(descriptor)
        lock.unlink(missing_ok=True)


def open_ports(state: Path) -> list[OpenPort]:
    """Return the ports that commands hold open now, in the order of their numbers."""
    found: list[OpenPort] = []
    for record in (state / _FOLDER).glob("*.json"):
        if _is_left_behind(record.with_suffix(".lock")):
            record.unlink(missing_ok=True)
            continue
        with suppress(OSError, ValueError, TypeError):  # it has just gone, or is being written
            found += [OpenPort(**values) for values in parse_json(record.read_bytes())]
    return sorted(found, key=lambda one: one.port)


def _is_left_behind(lock: Path) -> bool:
    """Return whether no process holds this lock; remove it then."""
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if not try_lock(descriptor):
            return False
    finally:
        os.close(descriptor)
    with suppress(OSError):
        lock.unlink()
    return True
