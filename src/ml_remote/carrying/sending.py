"""Sending wheels to the machine by rsync or sftp; what has come of one is not sent again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from .. import answers, processes
from ..errors import LabError
from ..machine import Machine
from ..scripts import ask
from .wheels import Wheel

__all__ = ["FOLDER", "send_wheels"]

FOLDER = ".lab/wheels"
"""Where they are, from the project's folder, on both sides."""
_TRIALS = 2
_SUM = re.compile(r"([0-9a-f]{64}) (.+)")
_NEW_RSYNC = re.compile(r"rsync\s+version v?[3-9]\.")


def send_wheels(machine: Machine, wheels: Sequence[Wheel], source: Path) -> None:
    """Bring these wheels into FOLDER on the machine, and remove all others from it.

    Raises LabError when they could not all be sent; what has come stays for the next call.
    """
    needed = sum(wheel.size for wheel in wheels) // 1024
    names = [wheel.name for wheel in wheels]
    said = ""
    for _ in range(_TRIALS):
        facts = dict(
            line.split(" ", 1)
            for line in ask(machine, "prepare-wheels", str(needed), *names).stdout.splitlines()
            if " " in line
        )
        folder = answers.folder(facts.get("folder"), asked=f"{machine.folder}/{FOLDER}")
        missing = _missing_there(machine, wheels)
        if not missing:
            return
        if _NEW_RSYNC.match(facts.get("rsync", "")) and _has_rsync():
            said = _by_rsync(machine, [wheel.name for wheel in missing], source, folder)
        else:
            said = _by_sftp(machine, [wheel.name for wheel in missing], source, folder)
    if _missing_there(machine, wheels):
        raise LabError(
            f"Not all wheels came to {machine.alias}. {said.strip()}",
            quoted=(said,),
            hint="Run the command again: it continues where it stopped",
        )


def _missing_there(machine: Machine, wheels: Sequence[Wheel]) -> list[Wheel]:
    sums = ask(machine, "sum-wheels", timeout=600).stdout.splitlines()
    there = {found[2]: found[1] for line in sums if (found := _SUM.fullmatch(line))}
    return [wheel for wheel in wheels if there.get(wheel.name) != wheel.sha256]


def _has_rsync() -> bool:
    if shutil.which("rsync") is None:
        return False
    return _NEW_RSYNC.match(processes.run(["rsync", "--version"]).stdout) is not None


def _by_rsync(machine: Machine, names: Sequence[str], source: Path, folder: str) -> str:
    """Send them; rsync compares what has come, and sends the rest. Return what it said."""
    *ssh, _, _ = machine.client.with_options("BatchMode=yes").command()
    words = ['"' + word.replace('"', '""') + '"' for word in ssh]
    command = ["rsync", "-s", "--times", "--inplace", "--from0", "--files-from=-"]
    command += ["-e", " ".join(words), "./", f"{machine.alias}:{folder}/"]
    done = processes.run(command, input="".join(f"{name}\0" for name in names), folder=source)
    return done.stderr


def _by_sftp(machine: Machine, names: Sequence[str], source: Path, folder: str) -> str:
    """Send them; sftp begins at the end of what has come. Return what it said."""
    (_, *options, _, _) = machine.client.with_options("BatchMode=yes").command()
    command = ["sftp", "-q", *options, "-b", "-", machine.alias]
    orders = [f"cd {_quoted(folder)}", *(f"-put -a {_quoted(name)}" for name in names)]
    text = "".join(f"{line}\n" for line in orders)
    return processes.run(command, input=text, folder=source).stderr


def _quoted(path: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", path) + '"'
