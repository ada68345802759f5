"""Sending wheels to the machine by rsync or sftp; an interrupted transfer continues."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .. import answers, processes
from ..errors import LabError
from ..machine import Machine
from ..processes import Result
from ..scripts import run_script
from ..ssh.ssh_log import SshLog, ThroughSsh, ssh_log
from ..transfer.copying import sftp_quoted
from ..transfer.failures import explain_failure
from ..transfer.rsync import is_new_enough, remote_shell, said_here
from ..ui.display import Progress
from .wheels import Wheel

__all__ = ["FOLDER", "send_wheels"]

FOLDER = ".lab/wheels"
"""Where they are, from the project's folder, on both sides."""
_TRIALS = 3
_LOOK_EVERY = 1.0  # seconds between two looks at what has come
_PATIENCE = 20  # seconds for such a look
_SUM = re.compile(r"([0-9a-f]{64}) ([0-9]{1,15}) (.+)")


def send_wheels(
    machine: Machine, wheels: Sequence[Wheel], source: Path, progress: Progress | None = None
) -> None:
    """Send these wheels to FOLDER on the machine, and remove all others from it.

    `progress` is told how much of them is there. Raises LabError when they could not all be sent;
    what has come stays for the next call.
    """
    names = [wheel.name for wheel in wheels]
    sizes = {name: (source / name).stat().st_size for name in names}
    needed = str(sum(sizes.values()) // 1024)
    done = None
    for _ in range(_TRIALS):
        facts = _facts(machine, needed, names)
        folder = answers.folder(facts.get("folder"), asked=f"{machine.folder}/{FOLDER}")
        missing, there = _compare(machine, wheels)
        if not missing:
            return
        damaged = {name for name in missing if there.get(name, 0) >= sizes[name]}
        if damaged:  # nothing can be added to them
            _facts(machine, needed, [name for name in names if name not in damaged])
        if is_new_enough(facts.get("rsync", "")) and is_new_enough(said_here()):
            send = _by_rsync(machine, missing, folder)
        else:
            send = _by_sftp(machine, missing, folder, begun=there.keys() - damaged)
        watched = _Watched(machine, sum(sizes.values()), progress)
        done = _copy(send, source, watched)
    missing, _ = _compare(machine, wheels)
    if missing and done is not None:
        what = f"Sending {len(missing)} of {len(wheels)} wheels"
        raise explain_failure(
            machine.client, done.stderr, what=what, is_sent=True, of_ssh=done.of_ssh
        )


def _facts(machine: Machine, needed: str, names: Sequence[str]) -> dict[str, str]:
    """Remove all other files from the folder on the machine; return what it printed."""
    lines = run_script(machine, "prepare-wheels", needed, *names).stdout.splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def _compare(machine: Machine, wheels: Sequence[Wheel]) -> tuple[list[str], dict[str, int]]:
    """Return which are not there, or not completely, and the sizes of the files there."""
    lines = run_script(machine, "sum-wheels", timeout=600).stdout.splitlines()
    found = [match for line in lines if (match := _SUM.fullmatch(line))]
    sums = {match[3]: match[1] for match in found}
    missing = [wheel.name for wheel in wheels if sums.get(wheel.name) != wheel.sha256]
    return missing, {match[3]: int(match[2]) for match in found}


@dataclass(frozen=True)
class _Watched:
    """How much has reached the machine, and whom to tell."""

    machine: Machine
    total: int
    progress: Progress | None

    def look(self) -> float:
        """Ask the machine, and tell; return after how many seconds to look again."""
        began = time.monotonic()
        if self.progress is not None:
            with suppress(LabError):  # what is wrong is said by the program that copies
                said = run_script(self.machine, "size-wheels", timeout=_PATIENCE).stdout.strip()
                if re.fullmatch(r"[0-9]{1,15}", said):
                    self.progress(min(int(said), self.total), self.total)
        # Where each look is a login of its own, there are few.
        return max(_LOOK_EVERY, 10 * (time.monotonic() - began))


@dataclass(frozen=True)
class _Sending:
    """How wheels are sent: the command, given ssh's options, and its input."""

    command: Callable[[SshLog], list[str]]
    orders: str


def _copy(sending: _Sending, source: Path, watched: _Watched) -> ThroughSsh:
    """Run the program that sends them to its end."""
    with (
        ssh_log(watched.machine.client.proxy_error) as own,
        processes.running(
            sending.command(own), input=sending.orders, folder=source, discard_output=True
        ) as program,
    ):
        while not program.ends_within(watched.look()):
            pass
        done = Result(returncode=program.wait(), stdout="", stderr=program.errors())
        return own.through(done)


def _by_rsync(machine: Machine, names: Sequence[str], folder: str) -> _Sending:
    """Return what sends them; rsync compares what has come, and sends the rest."""

    def command(own: SshLog) -> list[str]:
        *ssh, _, _ = machine.client.with_options("BatchMode=yes").command(flags=own.flags)
        start = ["rsync", "-s", "--times", "--inplace", "--from0", "--files-from=-"]
        return [*start, "-e", remote_shell(ssh), "./", f"{machine.alias}:{folder}/"]

    return _Sending(command, "".join(f"{name}\0" for name in names))


def _by_sftp(
    machine: Machine, names: Sequence[str], folder: str, *, begun: Collection[str]
) -> _Sending:
    """Return what sends them; of those that were begun the rest is sent."""

    def command(own: SshLog) -> list[str]:
        client = machine.client.with_options("BatchMode=yes", *own.without_file)
        (_, *options, _, _) = client.command()
        return ["sftp", *options, "-b", "-", machine.alias]

    orders = [f"cd {sftp_quoted(folder)}"]
    orders += [f"-put {'-a ' if name in begun else ''}{sftp_quoted(name)}" for name in names]
    return _Sending(command, "".join(f"{line}\n" for line in orders))
