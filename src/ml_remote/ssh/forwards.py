"""Forwards over the shared connection, which would outlive the command that has asked for them.

ssh listens on a socket in a private directory, and the forward is cancelled by a guard: a process
that does so as soon as its standard input ends, however `lab` has ended. Where both are killed, a
record is left, by which the next command cancels the forward.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import processes
from ..errors import UnreachableError
from ..files import try_lock
from ..parsing import parse_json
from .control_sockets import own_folder
from .shared_connection import control_command, control_socket

if TYPE_CHECKING:
    from .client import Client

__all__ = ["close_left_behind", "forwarded"]

_SECONDS = 10.0  # for the shared connection to answer
_GUARD = ("sh", "-c", 'cat >/dev/null; exec "$@"', "sh")


@contextmanager
def forwarded(client: Client, forwards: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Forward sockets of this computer over the shared connection as long as the block lasts.

    Each of `forwards` is the path of a socket, and where it leads, as ssh names it. Raises
    UnreachableError where there is no shared connection, or where it forwards nothing.
    """
    control = control_socket(client)
    if control is None:
        raise UnreachableError(f"There is no shared connection to {client.alias}.")
    specs = [f"{near}:{to}" for near, to in forwards]
    with ExitStack() as kept:
        kept.enter_context(_recorded(control, specs))
        for spec in specs:
            kept.enter_context(_guarded(control, spec))
            done = processes.run(control_command(control, "forward", "-L", spec), timeout=_SECONDS)
            if done.returncode != 0:
                said = done.stderr.strip()
                raise UnreachableError(
                    f"The shared connection to {client.alias} does not forward: {said}",
                    hint="To find the cause: lab doctor",
                    quoted=(said,),
                )
        yield


def close_left_behind() -> None:
    """Cancel the forwards whose commands were killed together with their guards."""
    for record in _folder().glob("*.json"):
        with suppress(OSError, ValueError, KeyError, subprocess.TimeoutExpired):
            descriptor = os.open(record, os.O_RDONLY)
            try:
                if not try_lock(descriptor):
                    continue  # its command is at work
                left = parse_json(record.read_bytes())
                for spec in left["forwards"]:
                    if Path(left["control"]).exists():
                        command = control_command(Path(left["control"]), "cancel", "-L", spec)
                        processes.run(command, timeout=_SECONDS)
                record.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


@contextmanager
def _guarded(control: Path, spec: str) -> Iterator[None]:
    """Cancel a forward at the end of the block, or of this process."""
    command = [*_GUARD, *control_command(control, "cancel", "-L", spec)]
    with processes.running(command, discard_output=True, own_session=True) as guard:
        try:
            yield
        finally:
            guard.send("", close=True)
            guard.ends_within(_SECONDS)


@contextmanager
def _recorded(control: Path, specs: Sequence[str]) -> Iterator[None]:
    """Keep a record of the forwards, locked as long as this process uses them."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = folder / f"{uuid.uuid4().hex}.json"
    descriptor = os.open(record, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        try_lock(descriptor)
        text = json.dumps({"control": str(control), "forwards": list(specs)})
        os.write(descriptor, text.encode())
        yield
    finally:
        record.unlink(missing_ok=True)
        os.close(descriptor)
        with suppress(OSError):  # not empty
            folder.rmdir()


def _folder() -> Path:
    return own_folder() / "forwards"
